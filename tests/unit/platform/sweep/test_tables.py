"""Statistics of a sweep on figures to redo by hand."""

import json
from dataclasses import replace

import pandas as pd
import pytest

import fedzda
from fedzda.base import RunError
from fedzda.platform.files import write_json
from fedzda.platform.sweep.cells import expand, result_path
from fedzda.platform.sweep.load import load_sweep
from fedzda.platform.sweep.pages import write_pages
from fedzda.platform.sweep.results import Result, collect, read_result
from fedzda.platform.sweep.tables import (
    Setting,
    differences_table,
    estimate,
    figures_table,
    paired,
    settings,
)

from ..report.make_run import make_run

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


def test_a_drawn_point_is_told_by_its_values(write):
    lr = {"local.optimizer.lr": {"low": 0.01, "high": 0.1, "log": True}}
    sweep = load_sweep(
        write(
            grid={"rounds": [2]},
            random={"draws": 2, "space": lr},
            axes=None,
            arms=None,
            baseline=None,
            alone=None,
        )
    )
    cells = expand(sweep)
    assert cells[0].labels == {"rounds": "2", "point": "r0"}
    value = cells[0].point["local.optimizer.lr"]
    assert list(cells[0].point) == ["local.optimizer.lr"]
    assert cells[0].config().local.optimizer.lr == value
    found = Setting(sweep.config, cells[0].labels, [Result(cells[0], {})])
    assert found.title == f"rounds 2, point r0 (local.optimizer.lr {value:.4g})"


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


def test_points_of_other_seeds_are_not_drawn(finished, tmp_path):
    sweep, cells = finished
    gone = [c for c in cells if c.labels == {"data": "few", "arm": "fed-prox"} and c.seed == 1]
    result_path(sweep, gone[0]).unlink()
    tables, chart, _ = write_pages(sweep, cells, tmp_path / "pages")
    assert "fed-prox" not in chart.read_text()
    assert "fed-prox" in tables.read_text()


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


def rewrite(sweep, cell, change):
    path = result_path(sweep, cell)
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def test_seeds_that_were_stopped_in_different_rounds(finished, tmp_path):
    sweep, cells = finished

    def stopped_late(content):
        content["evaluated"].append(3)
        for values in content["curves"].get("global", {}).values():
            values.append(0.9)

    for cell in cells:
        if cell.seed == 1 and result_path(sweep, cell).is_file():
            rewrite(sweep, cell, stopped_late)
    assert (tmp_path / "pages" / "convergence-few.svg") in write_pages(
        sweep, cells, tmp_path / "pages"
    )


def test_charts_of_values_that_are_no_file_names(write, tmp_path):
    none = {"axes": None, "arms": None, "baseline": None, "alone": None}
    sweep = load_sweep(write(grid={"start_from": ["runs/a", "runs/b"]}, seeds=[0], **none))
    cells = expand(sweep)
    for cell in cells:
        cell.labels["arm"] = "fed-avg"
        finish(sweep, cell)
    names = {path.name for path in write_pages(sweep, cells, tmp_path / "pages")}
    assert {"pareto-runs_a.svg", "convergence-runs_b.svg"} <= names


def test_a_baseline_of_personal_models_is_one_too(finished):
    sweep, cells = finished
    changed = replace(sweep, config=sweep.config.model_copy(update={"baseline": "alone"}))
    (setting,) = settings(changed, cells)
    assert "| fed-avg | −11.0 ± 50.8 |" in differences_table(setting, "shared")
    assert "| alone, personalised | – |" in differences_table(setting, "own")


def test_results_averaged_over_other_rounds_do_not_count(finished, write):
    sweep, cells = finished
    rewrite(sweep, cells[0], lambda content: content.update(averaged=2))
    assert read_result(sweep, cells[0]) is not None
    assert read_result(load_sweep(write(last=2)), cells[0]) is not None
    assert read_result(load_sweep(write(last=1)), cells[0]) is None


def test_clients_without_test_samples_are_left_out(finished):
    sweep, cells = finished
    for cell in cells:
        if result_path(sweep, cell).is_file():
            rewrite(sweep, cell, lambda content: next(iter(content["clients"].values())).update(
                {"0": None}))  # fmt: skip
    (setting,) = settings(sweep, cells)
    assert "| 67 ± 0 |" in figures_table(setting, "shared")  # 1 and 2 of 1, 2 and 3


def test_what_is_kept_of_clients_without_a_value(tmp_path, finished):
    run = make_run(tmp_path / "run", rounds=2, clients=4)
    for file in sorted((run / "clients").iterdir()):
        table = pd.read_parquet(file)
        table.loc[table.client == 3, "value"] = float("nan")
        table.to_parquet(file)
    found = kept_of(run, finished[1][0])
    assert set(found["clients"]["global"]) == {"0", "1", "2"}
    lines = [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]
    nothing = dict.fromkeys(lines[0]["metrics"]["accuracy"])
    lines[0]["metrics"]["accuracy"] = nothing
    write_lines(run, lines)
    found = kept_of(run, finished[1][0])
    assert found["curves"]["global"]["mean"][0] is None
    assert found["figures"]["global"]["mean"] is None
    lines[1]["metrics"]["accuracy"] = nothing
    write_lines(run, lines)
    with pytest.raises(RunError, match=r"no value of 'accuracy' .*\(data\.test_fraction above 0"):
        kept_of(run, finished[1][0])


def kept_of(run, cell):
    """What a sweep keeps of a run folder."""
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", {"stage": "global"} | summary)
    versions = dict.fromkeys(("fedzda", "torch", "flwr", "numpy"), "1")
    write_json(run / "meta.json", {"versions": versions, "commit": None, "cores": 1})
    return collect(fedzda.load(run), cell, 10, 1.0)


def write_lines(run, lines):
    (run / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
