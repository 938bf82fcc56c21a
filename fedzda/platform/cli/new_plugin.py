"""``fedzda new-plugin``: a small package with components of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new_plugin(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the package, for example my-plugin.")
    ],
) -> None:
    """Write a package with components of your own.

    Model, task, data set, partitioner, strategy and variant in a file each, with tests. Overwrites
    nothing.
    """
    from fedzda.platform.scaffold.write import write_plugin

    folder = write_plugin(name, Path())
    typer.echo(f"wrote {folder}")
    typer.echo(f"install it with: pip install -e {folder}")
    typer.echo(f"check it with: fedzda check {name.replace('-', '_')}.model:Net")
