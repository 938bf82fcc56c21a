"""The page of a life of a model: all stages on one page, from their files alone."""
