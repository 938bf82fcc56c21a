"""``fedzda plot``: figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or results folders of sweeps."),
    ],
    figure: Annotated[
        str,
        typer.Option(
            "--figure",
            metavar="NAME",
            help="cdf, convergence, pareto; of a single run: heatmap (recall), labels.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The file to write: .pdf, .png or .svg.")
    ],
    width: Annotated[
        Literal["single", "double"],
        typer.Option("--width", help="Width of one column (3.5 inches) or of two (7.2)."),
    ] = "single",
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Left out: no title.")
    ] = None,
) -> None:
    """Draw a figure for a paper.

    Runs that differ only in the seed are one line or point; a caption is printed.
    """
    from fedzda.platform.plot.draw import draw

    caption = draw(runs, figure, out, width, title)
    typer.echo(f"wrote {out}")
    typer.echo(f"caption: {caption}")
