"""``fedzda show``: the resolved configuration, with the origin of each value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fedzda.platform.cli.text import Overrides, Source

if TYPE_CHECKING:
    from fedzda.platform.config.load import Loaded


def show(source: Source, overrides: Overrides = None) -> None:
    """Print the configuration and its origins.

    All defaults are filled in; a comment says where each value comes from.
    """
    from fedzda.platform.config.load import load_config
    from fedzda.platform.lifecycle.load import life_file

    if (life := life_file(source)) is not None:
        from fedzda.platform.cli.life import show_life

        show_life(life, list(overrides or []))
        return
    typer.echo("\n".join(annotated(load_config(source, list(overrides or [])))))


def annotated(loaded: Loaded) -> list[str]:
    """Lines of the resolved YAML with ``# sim.yaml:12``, ``# override`` or ``# default``."""
    from fedzda.platform.config import plain
    from fedzda.platform.config.problems import dotted
    from fedzda.platform.config.yaml_loader import dump, load_text

    text = dump(plain(loaded.config))
    origins = {
        line: loaded.origins[dotted(path)]
        for path, line in load_text(text, "resolved").lines.items()
        if dotted(path) in loaded.origins
    }
    lines = text.splitlines()
    width = min(max(map(len, lines)), 48)
    return [
        f"{line.ljust(width)}  # {origins[number]}" if number in origins else line
        for number, line in enumerate(lines, start=1)
    ]
