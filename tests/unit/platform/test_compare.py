"""Comparison of runs, on folders written from random numbers."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from fedzda.base import UserError
from fedzda.platform.compare import compare_runs, flatten, t_interval

from .report.make_run import make_run, unfinish

OTHER = {"name": "fed-avg-digits", "strategy": {"name": "fed-avg", "clients_per_round": 10}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three seeds of two configurations; the second is 10 points lower before clipping."""
    root = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        make_run(root / f"a{seed}", seed=seed, rounds=2, output=f"runs-{seed}")
        make_run(root / f"b{seed}", seed=seed, rounds=2, shift=-0.1, **OTHER)
    return root


def stored(folder, key):
    return json.loads((folder / "summary.json").read_text())["metrics"]["accuracy"][key]


def test_seeds_form_groups_with_t_intervals(runs):
    found = compare_runs([runs / f"{k}{s}" for k in "ab" for s in (2, 0, 1)])
    assert found.labels == ["fed-zdac-digits", "fed-avg-digits"]
    first, second = found.rows
    assert first["seeds"] == [0, 1, 2]
    assert first["interval"] == "3 seeds"
    values = [stored(runs / f"a{s}", "worst10") for s in range(3)]
    assert first["worst10"] == pytest.approx(np.mean(values))
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (first["worst10_low"], first["worst10_high"]) == pytest.approx(tuple(reference))
    assert second["pairs"] == "3 seeds"
    gaps = [stored(runs / f"b{s}", "mean") - stored(runs / f"a{s}", "mean") for s in range(3)]
    reference = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert second["mean_difference"] == pytest.approx(np.mean(gaps))
    assert second["mean_difference_low"] == pytest.approx(reference.low)
    assert second["mean_difference_high"] == pytest.approx(reference.high)


def test_configuration_difference_comes_first_and_leaves_out_the_seed(runs):
    found = compare_runs([runs / "a0", runs / "b1"])
    assert found.differences == {
        "name": ["fed-zdac-digits", "fed-avg-digits"],
        "strategy.name": ["fed-zdac", "fed-avg"],
    }
    text = found.text(100)
    assert text.index("strategy.name") < text.index("worst 10 %")
    assert "Difference" not in text  # seeds 0 and 1 share nothing to pair


def test_single_runs_are_paired_by_client(runs):
    found = compare_runs([runs / "a0", runs / "b0"])
    first, second = found.rows
    assert [first["mean_low"], first["mean_high"]] == stored(runs / "a0", "mean_ci95")
    assert first["variance_pp2_low"] < first["variance_pp2"] < first["variance_pp2_high"]
    assert second["pairs"] == "20 clients"
    paired = second["mean_difference_high"] - second["mean_difference_low"]
    assert paired < 0.5 * (second["mean_high"] - second["mean_low"])
    assert second["mean_difference_low"] <= second["mean_difference"]
    assert "−10.0" in found.text(100)


def test_clients_of_other_data_are_not_paired(runs, tmp_path):
    other = make_run(tmp_path / "c", rounds=2, data={"name": "digits", "clients": 20})
    assert compare_runs([runs / "a0", other]).rows[1]["pairs"] == ""


def test_a_repeated_run_narrows_nothing(runs):
    found = compare_runs([runs / "a0", runs / "a0"])
    assert found.labels == ["fed-zdac-digits #1", "fed-zdac-digits #2"]
    assert [row["interval"] for row in found.rows] == ["20 clients", "20 clients"]
    assert found.rows[1]["mean_difference"] == 0


def test_intervals_stay_in_the_possible_range(tmp_path):
    for seed in range(2):
        make_run(tmp_path / str(seed), seed=seed, rounds=1, clients=3, shift=0.07 - 0.5 * seed)
    (row,) = compare_runs([tmp_path / "0", tmp_path / "1"]).rows
    assert 0 <= row["mean_low"] < row["mean_high"] <= 1
    assert row["variance_pp2_low"] >= 0


def test_csv_has_a_line_per_group(runs, tmp_path):
    compare_runs([runs / "a0", runs / "a1", runs / "b0"]).csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["fed-zdac-digits", "fed-avg-digits"]
    assert rows[0]["seeds"] == "0 1"
    assert float(rows[0]["mean"]) == pytest.approx(
        np.mean([stored(runs / f"a{s}", "mean") for s in range(2)])
    )


def test_text_fits_narrow_terminals(runs):
    text = compare_runs([runs / "a0", runs / "b0"]).text(80)
    assert max(map(len, text.splitlines())) <= 80
    assert "[" in text.split("Accuracy")[1]


def test_names_are_not_read_as_markup(tmp_path):
    run = make_run(tmp_path / "a", rounds=1, name="[bold]x[/nope]")
    assert "[bold]x[/nope]" in compare_runs([run]).text(120)


def test_all_bad_folders_are_named_at_once(runs, tmp_path):
    stopped = unfinish(make_run(tmp_path / "stopped", rounds=1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        compare_runs([stopped, tmp_path / "empty", tmp_path / "missing", runs / "a0"])
    stopped_text, empty, missing = caught.value.problems
    assert "not finished (state: interrupted)" in stopped_text
    assert "has no config.yaml" in empty
    assert "is not a folder" in missing


def test_runs_without_evaluation_or_of_other_metrics_are_refused(runs, tmp_path):
    run = make_run(tmp_path / "a", rounds=1)
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"metrics": {}}))
    with pytest.raises(UserError, match=r"evaluated no client: set evaluate\.every above 0"):
        compare_runs([run])
    figures = summary["metrics"]["accuracy"]
    (run / "summary.json").write_text(json.dumps(summary | {"metrics": {"psnr": figures}}))
    with pytest.raises(UserError, match="same metric, found accuracy, psnr"):
        compare_runs([runs / "a0", run])
    with pytest.raises(UserError, match="at least one run folder"):
        compare_runs([])


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, None], "e": "x", "f": True}) == {
        "a.b": "1", "a.c": "{}", "d": "[1, null]", "e": "x", "f": "true",
    }  # fmt: skip


def test_t_interval_of_known_numbers():
    # mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653
    assert t_interval([1, 2, 3]) == pytest.approx([2 - 2.484138, 2 + 2.484138], abs=1e-5)
