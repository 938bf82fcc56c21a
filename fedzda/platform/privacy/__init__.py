"""What a run with noise guarantees its clients."""
