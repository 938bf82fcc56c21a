"""Charts of several runs or parts over each other, in the look of the report's."""
