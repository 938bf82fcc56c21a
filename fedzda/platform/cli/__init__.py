"""The `fedzda` command: one module per command, wired in `app.py`."""
