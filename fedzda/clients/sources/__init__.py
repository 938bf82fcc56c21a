"""Data sets for the vision tasks, made without any download."""
