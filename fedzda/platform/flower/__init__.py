"""Unmodified Flower apps on our engines, with our records and report."""
