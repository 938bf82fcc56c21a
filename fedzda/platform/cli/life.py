"""What the commands do that meet the life of a model instead of a simulation."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fedzda.platform.cli.progress import Progress, figure
from fedzda.platform.cli.text import human_time, table

if TYPE_CHECKING:
    from fedzda.platform.lifecycle.load import Life
    from fedzda.platform.lifecycle.stages import Stage


def run_life(
    file: Path, overrides: Sequence[str], *, dry_run: bool, fast: bool, quiet: bool
) -> None:
    """Do all stages in a new folder; with ``dry_run`` say what they are."""
    from fedzda.platform.lifecycle.load import load_life
    from fedzda.platform.lifecycle.runner import new_life

    away = str(Path(tempfile.gettempdir()) / f"fedzda-fast-{secrets.token_hex(4)}")
    life = load_life(file, overrides, fast=[f"output={json.dumps(away)}"] if fast else None)
    if dry_run:
        typer.echo(f"{life.config.name}: {len(life.stages)} stages, nothing was run.")
        typer.echo(_listed(life))
        return
    _play(life, new_life(life), quiet)


def resume_life(folder: str, changes: Sequence[str], quiet: bool) -> None:
    """Go on with the first stage that is not done."""
    from fedzda.base import UserError
    from fedzda.platform.lifecycle.runner import reopen

    if changes:
        raise UserError(
            f"a life goes on as it began (got '{changes[0]}'). For other values start a new one "
            "with 'fedzda run'."
        )
    _play(reopen(folder), Path(folder).resolve(), quiet)


def validate_life(file: Path, overrides: Sequence[str], deep: bool) -> None:
    """Check all stages: keys and values, what they take from each other, and their words."""
    from fedzda.base import UserError
    from fedzda.platform.lifecycle.load import load_life

    if deep:
        raise UserError(
            "--deep builds a model, and stages of a life start from what earlier ones leave. Leave "
            "it out; 'fedzda run NAME --fast' goes through everything."
        )
    life = load_life(file, overrides)
    typer.echo(_listed(life))
    typer.echo(f"{file.name} is valid.")


def show_life(file: Path, overrides: Sequence[str]) -> None:
    """Print the life as its folder will keep it: every stage with all that it says."""
    from fedzda.platform.config import plain
    from fedzda.platform.config.yaml_loader import dump
    from fedzda.platform.lifecycle.load import load_life

    typer.echo(dump(plain(load_life(file, overrides).config)).rstrip())


def report_life(folder: str) -> None:
    """Rebuild the page of a life."""
    from fedzda.platform.report.life.build import build_life

    typer.echo(build_life(Path(folder)))


def _listed(life: Life) -> str:
    rows = [
        (f"{number}.", stage.name, note)
        for number, (stage, note) in enumerate(zip(life.stages, life.notes, strict=True), 1)
    ]
    return table(rows, 2)


def _play(life: Life, folder: Path, quiet: bool) -> None:
    from fedzda.platform.lifecycle.runner import play

    total = len(life.stages)

    def tell(number: int, stage: Stage) -> Sequence[Any]:
        if not quiet:
            typer.echo(f"stage {number} of {total}: {stage.name}")
        return [Progress(quiet)]

    if not quiet:
        typer.echo(f"folder of the life: {folder}")
    try:
        with _hushed(quiet):
            play(life, folder, tell)
    except (Exception, KeyboardInterrupt):
        typer.echo(f"go on with: fedzda resume {folder}", err=True)
        raise
    if quiet:
        typer.echo(str(folder))
        return
    typer.echo("\n".join(_closing(folder)))


@contextlib.contextmanager
def _hushed(quiet: bool) -> Iterator[None]:
    """Keep what commands print to themselves."""
    if not quiet:
        yield
        return
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _closing(folder: Path) -> list[str]:
    """What is printed when a life is done; the folder comes last."""
    from fedzda.platform.report.life.data import collect_life

    data = collect_life(folder)
    rows = [["stage", "time", "mean", "worst 10 %"]]
    for stage in data.stages:
        found = {} if stage.run is None else stage.run.figures
        shown = [figure(found.get(key)) for key in ("mean", "worst10")]
        rows.append([stage.name, human_time(stage.seconds), *shown])
    lines = [table(rows), f"all stages: {human_time(data.seconds)}"]
    return [*lines, f"report:     {folder / 'report.html'}", f"run folder: {folder}"]
