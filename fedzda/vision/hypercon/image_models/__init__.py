"""Image models to wrap: without weights, trained here in a minute, or a caller's own."""
