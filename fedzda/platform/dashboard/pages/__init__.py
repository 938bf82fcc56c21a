"""One page per file. Each makes a whole HTML document from what it is given."""
