"""Sweeps: one base simulation, many variations of it, one small result file for each."""
