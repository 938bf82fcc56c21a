"""What ``fedzda hypercon`` does with a clip: stream, write, measure, show.

Nothing grows with the length of the clip but the files.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from fedzda.base import UserError
from fedzda.platform.cli.text import human_time, table
from fedzda.platform.files import write_json
from fedzda.vision.hypercon.arrays import Frame
from fedzda.vision.hypercon.config import HyperConConfig
from fedzda.vision.hypercon.flow import make_flow
from fedzda.vision.hypercon.metrics import motions, psnr_of, step_error
from fedzda.vision.hypercon.pictures import side_by_side, strip
from fedzda.vision.hypercon.pipeline import HyperCon, Result
from fedzda.vision.hypercon.translate import ImageModel
from fedzda.vision.hypercon.video import Clip, ClipWriter, check_target, write_picture

_COLUMNS = 4
"""Moments of the strip."""
_NOTES = 10
"""Lines of progress where there is no terminal."""
_TITLES = ("input", "image model, frame by frame", "hypercon")


class Names(NamedTuple):
    """Files that one call writes."""

    result: Path
    beside: Path
    strip: Path
    figures: Path


def new_names(out: Path) -> Names:
    """Files to write. Raises UserError if one of them exists."""
    check_target(out)
    stem = out.with_suffix("")
    names = Names(
        out,
        stem.with_name(f"{stem.name}-side-by-side.mp4"),
        stem.with_name(f"{stem.name}-strip.png"),
        stem.with_name(f"{stem.name}-figures.json"),
    )
    for path in names[1:]:
        if path.exists():
            raise UserError(f"'{path}' would be overwritten. Choose another --out (got '{out}').")
    return names


class Judge:
    """Warping errors of input, frame-wise result and result, and what pooling changed.

    The results are measured at the size of the clip.
    """

    def __init__(self) -> None:
        self._flow = make_flow("dis-medium")
        self._before: tuple[Frame, ...] | None = None
        self._errors: list[list[float]] = [[], [], []]
        self._changes: list[float] = []

    def see(self, result: Result) -> None:
        """The next frame."""
        height, width = result.source.shape[:2]
        now = tuple(_sized(frame, height, width) for frame in result)
        self._changes.append(float(np.square(now[2] - now[1], dtype=np.float64).mean()))
        if self._before is not None:
            step = next(motions((self._before[0], now[0]), self._flow))
            if step.visible.any():
                for errors, first, second in zip(self._errors, self._before, now, strict=True):
                    errors.append(step_error(first, second, step.flow, step.visible))
        self._before = now

    def figures(self) -> dict[str, float]:
        """Means over the clip; NaN where no pixel could be compared."""
        means = [float(np.mean(errors)) if errors else float("nan") for errors in self._errors]
        names = ("warping_error_input", "warping_error_frame_wise", "warping_error")
        change = float(np.mean([psnr_of(error) for error in self._changes]))
        return {**dict(zip(names, means, strict=True)), "psnr_to_frame_wise_db": change}


def run(
    clip: Clip,
    masks: Clip | None,
    model: ImageModel,
    config: HyperConConfig,
    names: Names,
    record: dict[str, Any],
    judged: bool,
) -> None:
    """Make, write and measure; print what was found.

    Args:
        clip: The video.
        masks: Its holes.
        model: The image model.
        config: Settings.
        names: Files to write.
        record: What the file of figures says beside them.
        judged: Measure.
    """
    judge = Judge() if judged else None
    moments = {round(t) for t in np.linspace(0, max(len(clip) - 1, 0), _COLUMNS)}
    kept: list[Result] = []
    seconds, started, count = 0.0, time.perf_counter(), 0
    results = HyperCon(config).results(clip, model, masks)
    with ClipWriter(names.result, clip.fps) as one, ClipWriter(names.beside, clip.fps) as both:
        for result in _shown(results, len(clip)):
            seconds += time.perf_counter() - started
            one.write(result.frame)
            both.write(side_by_side(result))
            if judge is not None:
                judge.see(result)
            if count in moments:
                kept.append(result)
            count, started = count + 1, time.perf_counter()
    rows = {title: [result[row] for result in kept] for row, title in enumerate(_TITLES)}
    write_picture(names.strip, strip(rows))
    record |= {"config": config.model_dump(mode="json"), "frames": count}
    record |= {"seconds_per_frame": seconds / count}
    record |= {"figures": None if judge is None else judge.figures()}
    write_json(names.figures, record)
    _print(record, names)


def _print(record: dict[str, Any], names: Names) -> None:
    per_frame = record["seconds_per_frame"]
    typer.echo(
        f"{record['frames']} frames in {human_time(per_frame * record['frames'])} "
        f"({per_frame:.2f} s each)"
    )
    found = record["figures"]
    if found is not None:
        errors = ("warping_error_input", "warping_error_frame_wise", "warping_error")
        rows = [["", "warping error x1000"]]
        rows += [[t, f"{1e3 * found[k]:.2f}"] for t, k in zip(_TITLES, errors, strict=True)]
        typer.echo(table(rows, indent=2))
        typer.echo(f"result to frame by frame: {found['psnr_to_frame_wise_db']:.1f} dB")
    for path in names:
        typer.echo(f"written: {path}")


def _shown(results: Iterator[Result], total: int) -> Iterable[Result]:
    """Results with a progress bar on a terminal, else with a few lines."""
    console = Console(highlight=False)
    if not console.is_terminal:
        yield from _told(results, total)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(results, total=total or None)


def _told(results: Iterator[Result], total: int) -> Iterator[Result]:
    every = max(1, total // _NOTES)
    started = time.perf_counter()
    for done, result in enumerate(results, start=1):
        yield result
        if done % every == 0 and done < total:
            left = (time.perf_counter() - started) / done * (total - done)
            typer.echo(f"frame {done}/{total}  ETA {human_time(left)}")


def _sized(frame: Frame, height: int, width: int) -> Frame:
    if frame.shape[:2] == (height, width):
        return frame
    smaller = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.float32)
