"""The built-in models, in plain torch; ``config`` describes them without importing it."""
