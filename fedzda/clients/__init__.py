"""What a simulated device does: models, tasks, local training, hooks."""
