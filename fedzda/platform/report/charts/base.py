"""What all charts share: the chart itself and the colours of Okabe and Ito (2008)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedzda.platform.report.markup import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEAN, WORST, BEST, CLIENT = "#0072B2", "#D55E00", "#008060", "#5B6770"
"""On paper: one colour per role in every figure. On screen the style sheet has the same roles.
``BEST`` is Okabe and Ito's green made a little darker, to reach a contrast of 3:1 with white."""

MAX_POINTS = 400
"""Most points of one line or cloud; longer series are thinned, and the caption says so."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One chart, drawn for the screen.

    Attributes:
        key: Name of its files and its anchor.
        title: Heading.
        alt: What it shows, in words, for those who cannot see it.
        caption: How to read it.
        svg: The drawing for the page.
        columns: Headings of the table beneath; the first column names the row.
        rows: The table beneath.
        wide: Whether it takes the whole width of the page.
    """

    key: str
    title: str
    alt: str
    caption: str
    svg: Markup
    columns: list[str]
    rows: list[list[str]]
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart(Drawing):
    """One chart, drawn for the screen and ready to be painted for paper.

    Attributes:
        paint: Draws it on matplotlib axes.
        inches: Size on paper, ``(width, height)``.
    """

    paint: Callable[[Axes], None]
    inches: tuple[float, float] = (5.0, 3.1)
