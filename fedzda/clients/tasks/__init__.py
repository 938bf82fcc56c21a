"""What is learned: a loss and its summable statistics."""
