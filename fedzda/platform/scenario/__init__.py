"""Runs whose data change over the rounds: classes that arrive in phases."""
