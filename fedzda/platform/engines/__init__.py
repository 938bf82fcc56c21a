"""Where simulated clients run."""
