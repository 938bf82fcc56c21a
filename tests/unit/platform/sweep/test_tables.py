"""Statistics of a sweep on figures to redo by hand."""

import json

import pytest

from fedzda.platform.files import write_json
from fedzda.platform.sweep.cells import expand, result_path
from fedzda.platform.sweep.load import load_sweep
from fedzda.platform.sweep.pages import write_pages
from fedzda.platform.sweep.results import read_result
from fedzda.platform.sweep.tables import (
    differences_table,
    estimate,
    figures_table,
    paired,
    settings,
)

MEANS = {"fed-avg": [0.80, 0.90], "fed-prox": [0.82, 0.96], "alone": [0.95, 0.97]}


def finish(sweep, cell):
    """Write a result such as a run would leave."""
    stage = "personalised" if cell.labels["arm"] == "alone" else "global"
    mean = MEANS[cell.labels["arm"]][cell.seed]
    figures = {"mean": mean, "weighted_mean": mean, "worst10": mean - 0.1, "variance_pp2": 50.0}
    curve = {"mean": [0.1, mean], "worst10": [0.0, mean - 0.1], "variance_pp2": [400.0, 50.0]}
    clients = {"0": mean - 0.1, "1": mean, "2": mean + 0.1, "3": 0.99}
    path = result_path(sweep, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {
        "hash": cell.hash, "figures": {stage: {**figures, "gini": 0.02}},
        "clients": {stage: clients}, "curves": {stage: curve}, "evaluated": [1, 2],
        "seconds": 4.0, "cpu_seconds": 3.0, "bytes": {"down": 1_500_000, "up": 500_000},
    })  # fmt: skip


@pytest.fixture
def finished(write):
    sweep = load_sweep(write())
    cells = expand(sweep)
    for cell in cells:
        if cell.labels["data"] == "few":
            finish(sweep, cell)
    return sweep, cells


def test_estimate_is_a_t_interval():
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert estimate([]) is None
    assert estimate([1.0]).half != estimate([1.0]).half  # NaN


def test_pairs_are_of_common_seeds():
    found = paired({0: 1.0, 1: 2.0, 7: 9.0}, {0: 2.0, 1: 4.0, 3: 0.0})
    assert (found.mean, found.n) == (1.5, 2)


def test_tables(finished):
    (setting,) = settings(*finished)
    assert setting.title == "four classes"
    assert setting.groups() == ["shared", "own"]
    shared = figures_table(setting, "shared")
    row = next(line for line in shared.splitlines() if "fed-avg" in line)
    assert "| 2 | 85.0 ± 63.5 |" in row
    assert row.endswith("| 75 ± 0 |")  # alone, clients 0 to 2 are better off; client 3 is equal
    gaps = differences_table(setting, "shared").splitlines()
    assert "| – | – | – | 3 | 2.0 |" in gaps[2]
    assert "+4.0 ± 25.4" in gaps[3]
    assert "alone, personalised" in figures_table(setting, "own")


def test_results_of_other_settings_do_not_count(finished, write):
    sweep, cells = finished
    assert read_result(sweep, cells[0]) is not None
    base = sweep.config.base | {"rounds": 5}
    changed = load_sweep(write(base=base))
    assert read_result(changed, expand(changed)[0]) is None


def test_pages(finished, tmp_path):
    written = write_pages(*finished, tmp_path / "pages")
    assert [path.name for path in written] == [
        "tables.md", "pareto-few.svg", "convergence-few.svg",
    ]  # fmt: skip
    text = written[0].read_text()
    assert "## four classes" in text
    assert "### Own" in text
    before = [path.read_bytes() for path in written]
    assert "fed-prox" in written[1].read_text()
    assert [path.read_bytes() for path in write_pages(*finished, tmp_path / "pages")] == before


def test_a_sweep_of_psnr_is_shown_in_decibels(finished, tmp_path):
    sweep, cells = finished
    for cell in cells:
        path = result_path(sweep, cell)
        if path.is_file():
            content = json.loads(path.read_text()) | {"metric": "psnr"}
            for figures in content["figures"].values():
                figures |= {"mean": 28.0 + cell.seed, "worst10": 26.5, "variance_pp2": 15_000.0}
            write_json(path, content)
    (setting,) = settings(sweep, cells)
    table = figures_table(setting, "shared")
    head = table.splitlines()[0]
    assert "| mean dB |" in head
    assert "variance (dB²)" in head
    assert "| 28.5 ± 6.353 |" in table
    assert "| 1.5 ± 0 |" in table
    assert "%" not in head.replace("worst-10 % (dB)", "").replace("alone %", "")
    write_pages(sweep, cells, tmp_path / "pages")
    drawn = (tmp_path / "pages" / f"pareto-{setting.slug}.svg").read_text()
    assert "mean PSNR of the clients (dB)" in drawn
    assert "pp²" not in drawn
