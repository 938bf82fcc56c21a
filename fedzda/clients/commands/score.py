"""``fedzda score``: restored images by the protocol of the challenges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def score(
    results: Annotated[Path, typer.Argument(metavar="FOLDER", help="Restored images.")],
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="What they should be, under the same names. Left out: unknown."
        ),
    ] = None,
    border: Annotated[
        int, typer.Option(min=0, help="Pixels on every side that PSNR and SSIM leave out.")
    ] = 0,
    on: Annotated[
        Literal["rgb", "y"], typer.Option("--on", help="Take PSNR and SSIM on colours, or on Y.")
    ] = "rgb",
    photographs: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Good photographs, to refit NIQE on. Left out: none."),
    ] = None,
    block: Annotated[
        int, typer.Option(min=16, help="Side of the blocks that NIQE-refit looks at, in pixels.")
    ] = 96,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also a table of every image (.csv).")
    ] = None,
) -> None:
    """Score restored images, with the truth (track 1 of NTIRE 2020) or without (track 2).

    With it: PSNR, SSIM, GMSD and HaarPSI. Always: PIQE, and NIQE-refit if there are photographs.
    Means over images are printed.
    """
    from fedzda.base import UserError
    from fedzda.vision.restoration.scores import HIGHER_IS_BETTER, score_folder

    if out is not None and (out.suffix != ".csv" or not out.resolve().parent.is_dir()):
        raise UserError(
            f"--out is '{out}': name a .csv file in a folder that exists, for example scores.csv."
        )
    rows = score_folder(results, truth, photographs, border=border, on_y=on == "y", block=block)
    if out is not None:
        _write(out, rows)
    typer.echo(f"{len(rows):,} image{'' if len(rows) == 1 else 's'}, means")
    for name, higher in HIGHER_IS_BETTER.items():
        values = [row[name] for row in rows if name in row]
        if values:
            better = "higher" if higher else "lower"
            typer.echo(f"  {name:<12} {sum(values) / len(values):9.4f}   {better} is better")
    if out is not None:
        typer.echo(f"wrote {out}")


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pandas as pd

    pd.DataFrame(rows).to_csv(path, index=False)
