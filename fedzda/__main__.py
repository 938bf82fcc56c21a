"""``python -m fedzda`` and the ``fedzda`` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    from fedzda.platform.cli.app import app

    app()


if __name__ == "__main__":
    main()
