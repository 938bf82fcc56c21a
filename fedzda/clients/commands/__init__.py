"""Commands of the command line that work on trained models; listed in the catalogue."""
