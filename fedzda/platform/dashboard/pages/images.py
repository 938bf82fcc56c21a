"""All pictures of a run: synthetic images round by round, what clients hold, predictions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.card import RunCard
from fedzda.platform.dashboard.pages.run import head
from fedzda.platform.report.data import collect
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.sections import sheet_title, sheet_words

_SAMPLES = re.compile(r"samples-round-\d+\.png")
_PICTURE = re.compile(r"[A-Za-z0-9._-]+\.png")
_OTHERS = {
    "predictions.png": "Predictions of the final model on global test samples",
    "probe.png": "Synthetic images that come closest to a client's (above) and these (below)",
}


def picture(run: Path, name: str) -> Path | None:
    """A picture among the artifacts of a run; None if there is none of that name."""
    return next((file for file in pictures(run) if file.name == name), None)


def pictures(run: Path) -> list[Path]:
    """All pictures of a run, by name."""
    files = (run / "artifacts").glob("*.png")
    return sorted(file for file in files if _PICTURE.fullmatch(file.name) and file.is_file())


def page(card: RunCard, now: float) -> str:
    """The pictures, synthetic ones first. Raises :class:`UserError` if a file is damaged."""
    files = pictures(card.path)
    made = [file for file in files if _SAMPLES.fullmatch(file.name)]
    rest = [file for file in files if file not in made]
    return shell.document(
        f"Images of {card.name}",
        head(card, now),
        shell.run_navigation(card.id, "/images"),
        tag("section", tag("h2", "Synthetic images by round"), _made(card, made)),
        tag("section", tag("h2", "Other pictures"), _grid(card, rest, "strips", _words))
        if rest
        else None,
        here="/",
    )


def _made(card: RunCard, files: list[Path]) -> Markup:
    if not files:
        return shell.note(
            "This run kept no synthetic images. Strategies that make some, such as fed-zdac, "
            "leave samples of them in the run folder."
        )
    data = collect(card.path)
    return join(
        tag("p", sheet_words(data), class_="note"),
        _grid(card, files, "images gallery", lambda file: sheet_title(data, file.stem)),
    )


def _grid(card: RunCard, files: list[Path], role: str, title: Callable[[Path], str]) -> Markup:
    shown = []
    for file in files:
        words = title(file)
        source = shell.href("/artifact", run=card.id, name=file.name)
        image = tag("img", src=source, alt=words, loading="lazy")
        shown.append(tag("figure", tag("a", image, href=source), tag("figcaption", words)))
    return tag("div", *shown, class_=role)


def _words(file: Path) -> str:
    if file.name.startswith("view-"):
        return f"Training images of some clients ({file.name})"
    return _OTHERS.get(file.name, file.name)
