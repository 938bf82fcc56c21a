"""The studies of benchmarks/restoration.py."""
