"""Metrics of images, computed from sums so that parts can be added up."""
