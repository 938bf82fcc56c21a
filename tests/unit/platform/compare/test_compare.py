"""Comparison of runs, on folders written from random numbers."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import yaml
from scipy import stats
from typer.testing import CliRunner

from fedzda.base import UserError
from fedzda.platform.cli.app import app
from fedzda.platform.compare import compare_runs, t_interval
from fedzda.platform.compare.export import export, to_latex
from fedzda.platform.compare.sources import flatten
from fedzda.platform.report.data import collect
from fedzda.platform.runs import load

from ..report.make_run import make_run, unfinish

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


def test_a_run_that_is_named_twice_counts_once(runs):
    found = compare_runs([runs / "a0", runs / "b0", runs / "a0", runs / "a0" / ".." / "b0"])
    assert found.labels == ["fed-zdac-digits", "fed-avg-digits"]
    assert [row["seeds"] for row in found.rows] == [[0], [0]]


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
    assert "Difference to" not in text  # seeds 0 and 1 share nothing to pair
    sentence = "No difference to fed-zdac-digits is shown for fed-avg-digits: pairs need"
    assert sentence in " ".join(text.split())


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


def test_equal_names_are_told_apart_by_the_strategy(runs, tmp_path):
    other = {"strategy": {"name": "fed-prox", "clients_per_round": 10}}
    made = make_run(tmp_path / "c", rounds=2, **other)
    found = compare_runs([runs / "a0", made, runs / "b0"])
    names = ["fed-zdac-digits (fed-zdac)", "fed-zdac-digits (fed-prox)", "fed-avg-digits"]
    assert found.labels == names


def test_equal_names_without_a_strategy_are_numbered(runs, tmp_path):
    """Flower apps have none."""
    copy = tmp_path / "c"
    shutil.copytree(runs / "a0", copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    del config["strategy"]
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    found = compare_runs([runs / "a0", copy])
    assert found.labels == ["fed-zdac-digits #1", "fed-zdac-digits #2"]


def test_a_repeated_run_narrows_nothing(runs, tmp_path):
    again = shutil.copytree(runs / "a0", tmp_path / "again")
    found = compare_runs([runs / "a0", again])
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
    export(compare_runs([runs / "a0", runs / "a1", runs / "b0"]), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["fed-zdac-digits", "fed-avg-digits"]
    assert rows[0]["seeds"] == "0 1"
    assert float(rows[0]["mean"]) == pytest.approx(
        np.mean([stored(runs / f"a{s}", "mean") for s in range(2)])
    )


def test_an_interval_over_seeds_is_written_with_a_sign(runs):
    found = compare_runs([runs / f"{k}{s}" for k in "ab" for s in range(3)])
    row = found.rows[0]
    half = 100 * (row["mean_high"] - row["mean"])
    expected = f"{100 * row['mean']:.1f}\u00a0±\u00a0{half:.1f}\u00a0%"
    assert found.tables()[1][2][0][1] == expected
    gap = found.rows[1]
    half = 100 * (gap["mean_difference_high"] - gap["mean_difference"])
    expected = f"{100 * gap['mean_difference']:+.1f}\u00a0±\u00a0{half:.1f}".replace("-", "−")
    assert found.tables()[2][2][0][1] == expected


def test_markdown_and_latex_escape_names(runs, tmp_path):
    evil = make_run(tmp_path / "c", rounds=1, name="a|b_50%&$x^{2}~\\#<b>")
    found = compare_runs([runs / "a0", evil])
    for ending in ("md", "tex"):
        export(found, tmp_path / f"out.{ending}")
    lines = (tmp_path / "out.md").read_text().splitlines()
    assert "| a\\|b_50%&$x^{2}~\\\\#\\<b> |" in "\n".join(lines)
    tables = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {4, 6, 7}
    tex = (tmp_path / "out.tex").read_text()
    name = r"a\textbar{}b\_50\%\&\$x\textasciicircum{}\{2\}\textasciitilde{}"
    assert name + r"\textbackslash{}\#\textless{}b\textgreater{} & " in tex
    body = [line for line in tex.splitlines() if not line.startswith("%")]
    assert sum(line.count(r"\begin{") for line in body) == sum(
        line.count(r"\end{") for line in body
    )
    assert tex.count(r"\toprule") == tex.count(r"\bottomrule") == 2
    assert "\u00a0" not in tex


def test_a_paper_can_typeset_it(runs, tmp_path):
    tex = to_latex(compare_runs([runs / f"{k}{s}" for k in "ab" for s in range(3)]))
    assert tex.startswith("% needs \\usepackage{booktabs}\n% key | ")
    rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {row.count(" & ") for row in rows} == {5, 4}
    assert re.search(r"\d+\.\d~\$\\pm\$~\d+\.\d~\\%", tex)
    assert r"\label{tab:fedzda-2}" in tex
    assert r"\begin{tabular}{lrrrrl}" in tex


def test_exports_that_cannot_be_written(runs, tmp_path):
    found = compare_runs([runs / "a0"])
    with pytest.raises(UserError, match=r"should end in one of \.csv, \.md, \.tex \(got '\.xls'"):
        export(found, tmp_path / "out.xls")
    with pytest.raises(UserError, match="there is no folder"):
        export(found, tmp_path / "no" / "out.md")


def test_the_baseline_comes_first(runs):
    paths = [runs / f"{k}{s}" for k in "ab" for s in range(2)]
    found = compare_runs(paths, baseline="fed-avg-digits")
    assert found.labels == ["fed-avg-digits", "fed-zdac-digits"]
    assert found.rows[1]["mean_difference"] > 0
    with pytest.raises(UserError, match=r"baseline 'x' is none of the groups.*fed-avg-digits"):
        compare_runs(paths, baseline="x")


def result(folder, arm, seed, mean, **more):
    """A result file of a sweep, in the form that it writes."""
    clients = {str(c): mean + 0.01 * (c - 2) for c in range(5)}
    figures = {"mean": mean, "weighted_mean": mean, "worst10": mean - 0.02, "variance_pp2": 2.0,
               "gini": 0.01}  # fmt: skip
    content = {
        "cell": {"split": "two", "arm": arm}, "group": "arms", "seed": seed, "hash": "0",
        "metric": "accuracy", "rounds": 4, "averaged": 2, "figures": {"global": figures},
        "clients": {"global": clients}, "curves": {"global": {"mean": [mean], "worst10": [mean]}},
        "evaluated": [4],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{arm}-s{seed}.json").write_text(json.dumps(content | more))


def test_the_results_folder_of_a_sweep(tmp_path):
    for seed in range(3):
        result(tmp_path / "two", "alone", seed, 0.5 + 0.01 * seed)
        result(tmp_path / "two", "fed-avg", seed, 0.7 + 0.02 * seed)
    (tmp_path / "notes.json").write_text("{}")
    found = compare_runs([tmp_path], baseline="alone")
    assert found.labels == ["alone", "fed-avg"]
    assert found.differences == {"arm": ["alone", "fed-avg"]}
    assert found.rows[1]["pairs"] == "3 seeds"
    assert found.rows[1]["mean_difference"] == pytest.approx(0.21)
    reference = stats.ttest_1samp([0.2, 0.21, 0.22], 0).confidence_interval(0.95)
    assert found.rows[1]["mean_difference_low"] == pytest.approx(reference.low)
    one = [tmp_path / "two" / f"{arm}-s0.json" for arm in ("alone", "fed-avg")]
    single = compare_runs(one)
    assert single.rows[1]["pairs"] == "5 clients"
    assert single.rows[0]["interval"] == "5 clients"
    result(tmp_path / "three", "alone", 0, 0.4, cell={"split": "three", "arm": "alone"})
    assert "three, alone" in compare_runs([tmp_path]).labels


def test_drawn_points_are_told_by_their_values(tmp_path):
    for label, lr in (("r0", 0.02), ("r1", 0.05)):
        cell = {"arm": "fed-avg", "point": label}
        result(tmp_path / label, "fed-avg", 0, 0.5, cell=cell, point={"local.optimizer.lr": lr})
    found = compare_runs([tmp_path])
    assert found.differences == {"point": ["r0", "r1"], "local.optimizer.lr": ["0.02", "0.05"]}


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


def test_runs_of_two_tasks_are_refused_though_a_metric_has_one_name(runs, tmp_path):
    """PSNR of denoising is on colours, that of super-resolution on Y without a border."""
    copies = []
    for task in ("denoising", "super-resolution"):
        copies.append(shutil.copytree(runs / "a0", tmp_path / task))
        config = yaml.safe_load((copies[-1] / "config.yaml").read_text())
        config["task"] = {"name": task}
        (copies[-1] / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="same task, found denoising, super-resolution: what both"):
        compare_runs(copies)


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, None], "e": "x", "f": True}) == {
        "a.b": "1", "a.c": "{}", "d": "[1, null]", "e": "x", "f": "true",
    }  # fmt: skip


def test_t_interval_of_known_numbers():
    # mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653
    assert t_interval([1, 2, 3]) == pytest.approx([2 - 2.484138, 2 + 2.484138], abs=1e-5)


def test_the_folder_of_runs_is_told_from_a_run(runs):
    with pytest.raises(UserError, match=r"holds 6 run folders and is none itself.*/\*"):
        compare_runs([runs])
    with pytest.raises(UserError, match="holds 6 run folders and is none itself"):
        load(runs)


def test_the_direction_that_a_run_wrote_down_counts(tmp_path):
    run = make_run(tmp_path / "a", rounds=1)
    assert compare_runs([run]).shown.higher_is_better
    summary = json.loads((run / "summary.json").read_text())
    summary["higher_is_better"] = {"accuracy": False}
    (run / "summary.json").write_text(json.dumps(summary))
    assert not compare_runs([run]).shown.higher_is_better
    assert not collect(run).metric.higher_is_better


def test_results_in_which_clients_have_no_value(tmp_path):
    """A client without test samples is left out; a mean of none is told in a sentence."""
    clients = {"0": 0.5, "1": None, "2": 0.7}
    for arm in ("a", "b"):
        result(tmp_path / "some", arm, 0, 0.6, clients={"global": clients})
    found = compare_runs([tmp_path / "some"])
    assert found.rows[0]["clients"] == 2
    assert found.rows[1]["pairs"] == "2 clients"
    figures = dict.fromkeys(("mean", "weighted_mean", "worst10", "variance_pp2", "gini"))
    result(tmp_path / "none", "a", 0, 0.6, figures={"global": figures})
    with pytest.raises(UserError, match=r"a-s0\.json' has no mean over the clients"):
        compare_runs([tmp_path / "none"])


def test_what_is_wrong_with_the_gains_costs_no_export(runs, tmp_path):
    arguments = ["compare", runs / "a0", "--local", runs / "b0", "--export", tmp_path / "out.csv"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 2
    assert "must be a run in which clients train alone" in done.output
    assert (tmp_path / "out.csv").read_text().count("\n") == 2
