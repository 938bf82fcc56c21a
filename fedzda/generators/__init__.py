"""Zero-shot synthesis of labelled images from a frozen classifier. Plain PyTorch."""
