"""``fedzda new``: a commented starter file and its schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

_HEADER = "# yaml-language-server: $schema=./schema.json\n"


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the file and of the run.")],
    source: Annotated[
        str, typer.Option("--from", metavar="SHIPPED", help="The simulation to start from.")
    ] = "quickstart",
) -> None:
    """Write a starter file for a simulation.

    NAME.yaml is a commented copy of a shipped simulation; schema.json beside it lets editors
    complete and check it (not for the life of a model). Overwrites nothing.
    """
    from fedzda.base import UserError
    from fedzda.platform.config.load import find_source
    from fedzda.platform.config.schema import schema_text
    from fedzda.platform.lifecycle.load import life_file

    stem = name.removesuffix(".yaml").removesuffix(".yml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", stem):
        raise UserError(
            f"NAME is '{name}'. It should begin with a letter or digit and hold only letters, "
            "digits, dot, dash and underscore, 64 at most."
        )
    path = Path(f"{stem}.yaml")
    if path.exists():
        raise UserError(f"'{path}' exists already and is left as it is. Choose another name.")
    life = life_file(source)
    text = (life or find_source(source)[0]).read_text(encoding="utf-8")
    schema = None if life else schema_text()  # which is that of a simulation
    path.write_text(starter(text, stem, _HEADER if schema else ""), encoding="utf-8")
    typer.echo(f"wrote {path}")
    if schema:
        _write_schema(Path("schema.json"), schema)
    typer.echo(f"check it with: fedzda validate {path}")


def starter(text: str, name: str, header: str = _HEADER) -> str:
    """A file's text under a new name, with the header that editors look for."""
    body = text.removeprefix(_HEADER)
    body = re.sub(r"^name:.*$", f"name: {name}", body, count=1, flags=re.MULTILINE)
    return header + body


def _write_schema(path: Path, schema: str) -> None:
    if not path.exists():
        path.write_text(schema, encoding="utf-8")
        typer.echo(f"wrote {path}")
    elif path.read_text(encoding="utf-8") != schema:
        typer.echo(f"{path} differs from this version's and is left as it is.")
