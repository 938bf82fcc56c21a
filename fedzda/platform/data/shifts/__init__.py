"""Feature shifts: every client sees its images through a transformation of its own."""
