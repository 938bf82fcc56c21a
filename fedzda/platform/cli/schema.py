"""``fedzda schema``: the JSON schema for editors."""

from __future__ import annotations

import typer


def schema() -> None:
    """Print the JSON schema, for editors."""
    from fedzda.platform.config.schema import schema_text

    typer.echo(schema_text(), nl=False)
