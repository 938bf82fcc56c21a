"""Quantization and on-device variants (plain PyTorch)."""
