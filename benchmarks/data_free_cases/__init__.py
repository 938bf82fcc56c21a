"""The parts of data_free.py."""
