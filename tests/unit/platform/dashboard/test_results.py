"""Result files of sweeps and studies: found, put together, shown."""

import json
import re

import numpy as np
import pytest

from fedzda.platform.compare import t_interval
from fedzda.platform.dashboard.cells import axes, combinations
from fedzda.platform.dashboard.pages.sweeps import TONES
from fedzda.platform.dashboard.results import result_sets
from fedzda.platform.dashboard.static import asset
from fedzda.platform.dashboard.study import flatten, study_table, written
from fedzda.platform.report.charts.heat import RAMP


def cell(mean, seed, stage="global", **labels):
    figures = {"mean": mean, "worst10": mean / 2, "variance_pp2": 4.0, "gini": 0.1}
    return {
        "cell": labels, "seed": seed, "figures": {stage: figures}, "cpu_seconds": 10.0 + seed,
        "bytes": {"down": 2_000_000, "up": 1_000_000},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A sweep of two axes, and a study of two arms with two seeds each."""
    for data in ("even", "skewed"):
        for arm, level in (("fed-avg", 0.6), ("mine", 0.7)):
            for seed in (0, 1):
                path = tmp_path / "results" / "who" / data / f"{arm}-s{seed}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(cell(level + 0.02 * seed, seed, data=data, arm=arm)))
    alone = tmp_path / "results" / "who" / "even" / "alone-s0.json"
    alone.write_text(json.dumps(cell(0.9, 0, "personalised", data="even", arm="alone")))
    study = tmp_path / "results" / "study"
    study.mkdir()
    for arm, value in (("a", 1.0), ("b", 3.0)):
        for seed in (0, 1):
            content = {"arm": arm, "seed": seed, "last": {"loss": value + seed}, "rounds": 5,
                       "curve": [1] * 20, "date": "2026-01-01", "bits": [8, 8]}  # fmt: skip
            (study / f"{arm}-s{seed}.json").write_text(json.dumps(content))
    (study / "broken.json").write_text("{")
    return tmp_path / "results"


def test_a_sweep_is_one_set_and_any_other_folder_another(folder):
    sets = result_sets([folder])
    assert list(sets) == ["results/study", "results/who"]
    assert sets["results/who"].sweep
    assert len(sets["results/who"].results) == 9
    assert "even/alone-s0" in sets["results/who"].results
    assert sets["results/study"].skipped == 1


def test_the_folder_of_a_sweep_can_be_given_itself(folder):
    assert list(result_sets([folder / "who"])) == ["who"]
    assert list(result_sets([folder / "who" / "even"])) == ["even"]


def test_links_to_outside_are_no_results(folder, tmp_path):
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    (folder / "study" / "link.json").symlink_to(tmp_path / "secret.json")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "x.json").write_text('{"secret": 1}')
    (folder / "folder").symlink_to(tmp_path / "more")
    sets = result_sets([folder])
    assert list(sets) == ["results/study", "results/who"]
    assert "link" not in sets["results/study"].results


def test_a_damaged_cell_is_counted_and_other_files_are_a_study(folder, visit):
    (folder / "who" / "even" / "damaged-s0.json").write_text("{")
    (folder / "who" / "notes.json").write_text('{"words": 3}')
    sets = result_sets([folder])
    assert list(sets["results/who (other files)"].results) == ["notes"]
    assert len(sets["results/who"].results) == 9
    assert sets["results/who"].skipped == 1
    text = visit("/sweep?results=results%2Fwho", results=[folder]).text
    assert "1 file is no readable JSON" in text


def test_folders_of_one_name_are_told_apart(folder, tmp_path):
    other = tmp_path / "later" / "results"
    other.mkdir(parents=True)
    (other / "fed-avg-s0.json").write_text(json.dumps(cell(0.9, 0, arm="fed-avg")))
    sets = result_sets([folder / "who" / "even", folder, other, other])
    assert f"{tmp_path.name}/results/who" in sets
    assert len(sets["later/results"].results) == 1
    assert "even" in sets


def test_own_models_of_a_sweep_without_arms_are_not_averaged_with_the_global_one():
    content = cell(0.5, 0, rate="low")
    content["figures"]["personalised"] = {"mean": 0.9}
    rows = combinations({"a": content})
    assert [row.labels for row in rows] == [
        {"rate": "low", "arm": "global"}, {"rate": "low", "arm": "personalised"}
    ]  # fmt: skip
    assert axes(rows) == {"arm": ["global", "personalised"], "seed": ["0"]}


def test_figures_are_averaged_and_paired_over_seeds(folder):
    rows = combinations(result_sets([folder])["results/who"].results)
    by = {tuple(row.labels.values()): row for row in rows}
    mine, base = by["even", "mine"], by["even", "fed-avg"]
    assert mine.figure("mean").mean == pytest.approx(0.71)
    assert mine.figure("mean").low == pytest.approx(t_interval([0.7, 0.72])[0])
    gap = mine.gap(base, "mean")
    assert (gap.mean, gap.half) == pytest.approx((0.1, 0.0))  # seed by seed they differ alike
    assert mine.cost["bytes"] == {0: 3e6, 1: 3e6}
    assert ("even", "alone, personalised") in by
    assert axes(rows) == {
        "data": ["even", "skewed"],
        "arm": ["alone, personalised", "fed-avg", "mine"],
        "seed": ["0", "1"],
    }


def test_the_heat_map_shows_means_over_seeds(visit, folder):
    text = visit("/sweep?results=results%2Fwho", results=[folder]).text
    assert "Mean by arm and data (%)" in text
    assert '<td class="h0">61.0</td>' in text
    assert '<td class="h16">90.0</td>' in text
    assert '<td class="blank-cell">–</td>' in text  # alone was not run on skewed data
    assert "+10.0\u00a0±\u00a00.0" in text
    address = "/sweep?results=results%2Fwho&figure=variance_pp2&down=seed&across=arm&at.data=skewed"
    turned = visit(address, results=[folder]).text
    assert "Variance by seed and arm (pp²)" in turned
    assert "data: skewed." in turned


@pytest.mark.parametrize("query", ["figure=x", "down=x&across=x", "at.data=x", "base=x"])
def test_nonsense_in_the_address_does_no_harm(visit, folder, query):
    answer = visit(f"/sweep?results=results%2Fwho&{query}", results=[folder])
    assert answer.status_code == 200


def test_a_study_is_a_row_per_arm(folder, visit):
    table = study_table(result_sets([folder])["results/study"].results)
    assert list(table.rows) == ["a", "b"]
    assert table.files == {"a": 2, "b": 2}
    loss = table.rows["b"]["last.loss"]
    assert (loss.mean, loss.n) == (3.5, 2)
    assert loss.half == pytest.approx(t_interval([3.0, 4.0])[1] - 3.5)
    assert table.common == {"rounds": "5", "bits": "8, 8"}
    assert "date" not in table.columns
    text = visit("/study?results=results%2Fstudy", results=[folder]).text
    assert "3.5\u00a0±\u00a06.4" in text
    assert "1 file is no readable JSON" in text


def test_scalars_by_dotted_key():
    content = {"a": {"b": 1.5, "ok": True}, "none": None, "many": [0] * 9, "versions": {"x": "1"}}
    assert flatten(content) == {"a.b": 1.5, "a.ok": "yes"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (1234567, "1,234,567"), (0.000123456, "0.0001235"), (2500.0, "2,500"), (0.0, "0"),
     (1e-9, "1e-09"), (31.6249, "31.62"), (-0.5, "-0.5"), (np.pi * 1e8, "3.142e+08"), ("w", "w")],
)  # fmt: skip
def test_numbers_are_written_with_four_digits(value, text):
    assert written(value) == text


def test_the_tones_of_the_style_sheet_are_those_of_the_reports_maps():
    css = asset("dashboard.css").content.decode()
    assert [re.search(rf"\.h{i} {{ background: (#\w+)", css)[1] for i in range(TONES)] == list(RAMP)
