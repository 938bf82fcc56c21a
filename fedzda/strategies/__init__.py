"""What the server does with a round, one Flower strategy per file."""
