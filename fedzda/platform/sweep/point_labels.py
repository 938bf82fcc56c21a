"""Names beside the points of a crowded chart, so that no legend has to be looked up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

from matplotlib.transforms import Bbox

_INK = "#1f2428"
_SIZE = 7.5
"""Points: the height of the letters; one is about 0.56 of it wide."""
_DISTANCES = (0, 9, 18, 27, 36, 48, 60, 75, 90)
"""Points between a marker and its name; names that are not next to it get a line."""
_ANGLES = (0, 180, 60, -60, 120, -120, 30, -30, 150, -150, 90, -90)
_MARKER = 4.0
"""Points: half the side of a marker."""


def name_points(axes: Any, points: Mapping[str, tuple[float, float, str]]) -> None:
    """Write the name of every point where it covers neither markers nor other names.

    Args:
        axes: Laid out; moving them afterwards moves names away from their points.
        points: Name to x, y (both in data) and colour. Points with the least room around them are
            named last.
    """
    scale = axes.figure.dpi / 72
    places = {name: axes.transData.transform((x, y)) / scale for name, (x, y, _) in points.items()}
    taken = [Bbox.from_extents(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER)
             for x, y in places.values()]  # fmt: skip
    frame = Bbox(axes.get_window_extent().get_points() / scale)
    room = {
        name: min((math.dist(own, other) for n, other in places.items() if n != name), default=0)
        for name, own in places.items()
    }
    for name in sorted(places, key=lambda name: -room[name]):
        box, distance = _free_box(name, places[name], taken, frame)
        taken.append(box)
        x, y, colour = points[name]
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6, "shrinkB": 3}
        axes.annotate(
            name,
            (x, y),
            ((box.x0 + box.x1) / 2 - places[name][0], (box.y0 + box.y1) / 2 - places[name][1]),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_SIZE,
            color=_INK,  # some colours are too light for letters
            arrowprops=line if distance else None,
        )


def _free_box(name: str, place: Any, taken: list[Bbox], frame: Bbox) -> tuple[Bbox, int]:
    """The nearest place for a name, and its distance; next to the marker if all are taken."""
    width, height = 0.56 * _SIZE * len(name) + 2, 1.25 * _SIZE
    tried = []
    for distance, angle in product(_DISTANCES, _ANGLES):
        across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        x = place[0] + across * (_MARKER + distance + width / 2)
        y = place[1] + up * (_MARKER + distance + height / 2)
        box = Bbox.from_bounds(x - width / 2, y - height / 2, width, height)
        inside = (
            frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 <= box.y1 <= frame.y1
        )
        if inside and not box.count_overlaps(taken):
            return box, distance
        tried.append((box, distance))
    return tried[0]
