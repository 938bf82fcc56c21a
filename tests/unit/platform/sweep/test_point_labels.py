"""Names beside points: all there, none over another or over a marker."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fedzda.platform.sweep.point_labels import name_points

SPREAD = {"fed-avg": (0.1, 0.1, "#000000"), "oracle": (0.9, 0.9, "#000000")}
HEAP = {f"arm-{i}": (0.5 + 0.002 * i, 0.5, "#0072b2") for i in range(12)}


def named(points):
    """The chart's names, and their boxes in pixels."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()
    name_points(axes, points)
    figure.draw_without_rendering()
    return axes, {text.get_text(): text.get_window_extent() for text in axes.texts}


@pytest.mark.parametrize("points", [SPREAD, HEAP], ids=["spread", "heap"])
def test_every_name_is_inside_and_alone(points):
    axes, boxes = named(points)
    assert boxes.keys() == points.keys()
    frame = axes.get_window_extent()
    assert all(frame.contains(box.x0, box.y0) for box in boxes.values())
    assert all(frame.contains(box.x1, box.y1) for box in boxes.values())
    ours = list(axes.texts)
    letters = [text.get_window_extent() for text in ours if text.arrow_patch is None]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(letters, 2))
    markers = [axes.transData.transform(place[:2]) for place in points.values()]
    assert not any(box.contains(*marker) for box in letters for marker in markers)


def test_a_name_with_room_is_next_to_its_point_without_a_line():
    axes, boxes = named(SPREAD)
    assert all(text.arrow_patch is None for text in axes.texts)
    x, y = axes.transData.transform((0.1, 0.1))
    assert 0 < boxes["fed-avg"].x0 - x < 15
    assert boxes["fed-avg"].y0 < y < boxes["fed-avg"].y1


def test_names_in_a_heap_have_lines():
    axes, _ = named(HEAP)
    assert sum(text.arrow_patch is not None for text in axes.texts) >= 6
