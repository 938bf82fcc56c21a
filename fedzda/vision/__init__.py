"""Vision models and metrics (plain PyTorch)."""
