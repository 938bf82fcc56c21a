"""Class-incremental learning in plain PyTorch: heads, exemplars, distillation, one file each."""
