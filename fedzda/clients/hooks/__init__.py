"""What strategies may change about local training, one hook per file."""
