"""``fedzda sweep``: many variations of one simulation."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from fedzda.platform.cli.text import Quiet, human_time, table

if TYPE_CHECKING:
    from fedzda.platform.sweep.cells import Cell
    from fedzda.platform.sweep.load import Sweep
    from fedzda.platform.sweep.results import Result
    from fedzda.platform.sweep.runner import Failure


def sweep(
    source: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A sweep file, or a shipped sweep.")
    ],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="axis=value,…", help="Cells of these values; repeatable."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Cells at once, at most one per core.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells and what they will cost.")
    ] = False,
    tables: Annotated[
        Path | None,
        typer.Option("--tables", metavar="FOLDER", help="Only write tables and figures there."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run the cells of a sweep that have no result yet.

    Every finished cell leaves a small JSON file; the sweep goes on where it stopped.
    """
    from fedzda.platform.engines.base import cores
    from fedzda.platform.sweep.cells import expand, select
    from fedzda.platform.sweep.load import load_sweep

    found = load_sweep(source)
    cells = select(expand(found), only or [])
    if jobs > cores():
        told = f"--jobs is {jobs}, and {cores()} cores can be used: so many cells run at once."
        typer.echo(told, err=True)
        jobs = cores()
    if dry_run:
        from fedzda.platform.sweep.plan import plan

        timing = _Timing(quiet)
        planned = plan(found, cells, jobs, timing)
        timing("")
        typer.echo(planned)
    elif tables is not None:
        from fedzda.platform.sweep.pages import write_pages

        for path in write_pages(found, cells, tables):
            typer.echo(f"wrote {path}")
    else:
        _run(found, cells, jobs, quiet)


def _run(found: Sweep, cells: list[Cell], jobs: int, quiet: bool) -> None:
    from fedzda.platform.sweep.results import read_result
    from fedzda.platform.sweep.runner import run_cells, runnable, work_folder

    able = runnable(cells)
    waiting = [cell for cell in able if read_result(found, cell) is None]
    if not quiet:
        rest = f"{len(able) - len(waiting)} have a result"
        if len(able) < len(cells):
            rest += f", {len(cells) - len(able)} need a GPU, which this machine does not have"
        typer.echo(f"{len(cells)} cells: {len(waiting)} to run, {rest}.")
        typer.echo(f"configurations and logs: {work_folder(found)}")
    progress = _Progress(len(waiting), quiet)
    failures = run_cells(found, waiting, jobs, progress)
    if failures:
        _tell(found, failures)
        raise typer.Exit(1)


class _Timing:
    """One line on a terminal, written over by the next: what is being timed."""

    def __init__(self, quiet: bool) -> None:
        self.shown = sys.stderr.isatty() and not quiet

    def __call__(self, name: str) -> None:
        """A kind of cell is timed; no name: the line is cleared."""
        if self.shown:
            typer.echo(f"\r\x1b[K{f'timing {name}' if name else ''}", err=True, nl=False)


class _Progress:
    """One line per cell."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.total, self.quiet, self.ended = total, quiet, 0

    def __call__(self, cell: Cell, found: Result | Failure) -> None:
        """A cell ended."""
        from fedzda.platform.sweep.runner import Failure

        self.ended += 1
        place = f"[{self.ended}/{self.total}] {cell.name}"
        if isinstance(found, Failure):
            typer.echo(f"{place}  FAILED: {found.reason}", err=True)
        elif not self.quiet:
            stage = next(iter(found.data["figures"]))
            mean, worst = found.figure("mean", stage), found.figure("worst10", stage)
            told = f"mean {mean:.3f}, worst 10 % {worst:.3f}" if mean is not None else "no figures"
            typer.echo(f"{place}  {told}, {human_time(found.data['seconds'])}")


def _tell(found: Sweep, failures: list[Failure]) -> None:
    typer.echo(f"{len(failures)} cells failed. Once the cause is gone, run them again with:")
    rows = [
        (f"fedzda sweep {quote(found.source)} --only {quote(f.cell.text)}", f"# {f.log}")
        for f in failures
    ]
    typer.echo(table(rows, indent=2))
