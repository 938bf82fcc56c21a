"""Figures for papers: files, fonts, and what the captions say."""

import json
import re
import shutil
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from fedzda.base import UserError
from fedzda.platform.compare import groups_of
from fedzda.platform.plot.draw import FIGURES, draw
from fedzda.platform.plot.series import curves, pooled
from fedzda.platform.plot.style import DPI, look

from .report.make_run import make_run, unfinish

CAPTIONS = {
    "cdf": "Share of clients at or below each value of accuracy",
    "convergence": "worst tenth of the clients' accuracy",
    "pareto": "Mean accuracy of the clients against its variance",
    "heatmap": "Recall by class",
    "labels": "Training samples by client and class",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        make_run(root / f"a{seed}", seed=seed, rounds=2, name="one & <two>")
        make_run(root / f"b{seed}", seed=seed, rounds=2, shift=-0.1, strategy={"name": "fed-avg"})
    return root


def both(runs):
    return [runs / f"{name}{seed}" for name in "ab" for seed in range(2)]


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("width", ["single", "double"])
def test_every_figure_has_the_width_of_its_column(runs, tmp_path, figure, width):
    shown = both(runs) if figure in ("cdf", "convergence", "pareto") else [runs / "a0"]
    caption = draw(shown, figure, tmp_path / "out.png", width)
    assert CAPTIONS[figure] in caption
    pixels = np.asarray(Image.open(tmp_path / "out.png").convert("L"))
    assert pixels.shape[1] == round({"single": 3.5, "double": 7.2}[width] * DPI)
    assert (pixels < 128).mean() > 0.005, "something is drawn"
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all((edge > 200).all() for edge in edges), "nothing is cut off"


def test_maps_need_no_evaluation_and_no_end(tmp_path):
    run = unfinish(make_run(tmp_path / "run", rounds=1))
    assert "Recall by class" in draw([run], "heatmap", tmp_path / "out.png")
    shutil.rmtree(run / "clients")
    assert "by number" in draw([run], "labels", tmp_path / "out.png")
    with pytest.raises(UserError, match="has no recall by class"):
        draw([run], "heatmap", tmp_path / "out.png")


def test_fonts_are_embedded_and_equal_figures_are_equal_files(runs, tmp_path):
    for name in ("one.pdf", "two.pdf", "one.svg", "two.svg"):
        draw(both(runs), "cdf", tmp_path / name)
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert pdf == (tmp_path / "two.pdf").read_bytes()
    svg = (tmp_path / "one.svg").read_text()
    assert "<text" not in svg
    assert svg == (tmp_path / "two.svg").read_text()


def test_a_title_only_where_it_is_asked_for(runs, tmp_path):
    for name, title in (("without", None), ("with", "A title of some length")):
        draw([runs / "a0"], "cdf", tmp_path / f"{name}.svg", title=title)
    without, titled = ((tmp_path / f"{name}.svg").read_text() for name in ("without", "with"))
    comment = re.compile(r"<!-- A title")
    assert comment.search(titled)
    assert not comment.search(without)


def test_lines_differ_in_more_than_their_colour():
    looks = [look(number) for number in range(8)]
    for one, two in pairwise(looks):
        assert one["linestyle"] != two["linestyle"]
        assert one["marker"] != two["marker"]
    assert len({(str(own["linestyle"]), own["color"]) for own in looks}) == 8


def test_what_is_drawn_are_the_numbers_of_the_files(runs):
    groups = groups_of(both(runs))
    rounds, values = curves(groups[0], "worst10")
    assert rounds.tolist() == [1, 2]
    for seed in range(2):
        lines = (runs / f"a{seed}" / "rounds.jsonl").read_text().splitlines()
        stored = [json.loads(line)["metrics"]["accuracy"]["worst10"] for line in lines]
        assert values[seed].tolist() == stored
    assert pooled(groups[0]).size == 40
    assert (np.diff(pooled(groups[0])) >= 0).all()


def test_wrong_input_is_told_in_a_sentence(runs, tmp_path):
    out = tmp_path / "out.pdf"
    with pytest.raises(UserError, match=r"--figure is 'cfd'\. Choose one of: cdf, conv"):
        draw([runs / "a0"], "cfd", out)
    with pytest.raises(UserError, match=r"should end in one of \.pdf, \.svg, \.png \(got '\.gif'"):
        draw([runs / "a0"], "cdf", tmp_path / "out.gif")
    with pytest.raises(UserError, match="there is no folder"):
        draw([runs / "a0"], "cdf", tmp_path / "no" / "out.pdf")
    with pytest.raises(UserError, match=r"shows a single run \(got 2\)"):
        draw([runs / "a0", runs / "b0"], "heatmap", out)
    assert not out.exists()
