"""Figures for papers, drawn from run folders or a sweep's result files by matplotlib."""
