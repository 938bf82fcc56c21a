"""Words and units: what a reader who does not know the code gets to see."""

from __future__ import annotations

import html
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from fedzda.platform.report import verdict
from fedzda.platform.report.charts import draw_all
from fedzda.platform.report.charts.size import trend
from fedzda.platform.report.data import collect
from fedzda.platform.report.html import page as html_page
from fedzda.platform.report.units import NBSP, metric

from .make_run import make_run, unfinish


def renamed(folder, name):
    """A run whose only metric besides the loss is called ``name``."""
    for file in ("rounds.jsonl", "summary.json"):
        text = (folder / file).read_text().replace('"accuracy"', f'"{name}"')
        (folder / file).write_text(text)
    for part in (folder / "clients").iterdir():
        table = pd.read_parquet(part).replace({"metric": {"accuracy": name}})
        table.to_parquet(part, index=False)
    return folder


def page_of(folder):
    data = collect(folder)
    return html.unescape(html_page(data, draw_all(data)))


def test_clients_with_large_errors_are_the_ones_left_behind(tmp_path):
    data = collect(renamed(make_run(tmp_path / "run"), "noise_error"))
    worst = data.final.client[data.worst]
    assert set(worst) == set(data.final.client[np.argsort(-data.final.value)[: worst.size]])
    unfinished = collect(unfinish(tmp_path / "run"))
    assert verdict.sentences(unfinished)[1].endswith("above the mean.")


def test_the_test_before_any_round_is_no_round(tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    row = json.loads((run / "rounds.jsonl").read_text())
    (run / "rounds.jsonl").write_text(json.dumps(row | {"round": 0}) + "\n")
    config = (run / "config.yaml").read_text().replace("rounds: 1", "rounds: 0")
    (run / "config.yaml").write_text(config)
    assert "0 of 0 rounds" in page_of(run)


def test_decibels_are_named(tmp_path):
    psnr = metric("bicubic_psnr")
    assert psnr.show(30.157) == f"30.16{NBSP}dB"
    assert psnr.gap(-1.5) == f"1.5{NBSP}dB"
    assert psnr.interval([29.0, 31.0]) == f"29{NBSP}to{NBSP}31{NBSP}dB"
    assert (psnr.label, psnr.title) == ("bicubic PSNR (dB)", "Bicubic PSNR")
    assert (metric("psnr").title, metric("miou").title) == ("PSNR", "mIoU")
    assert metric("noise_error").label == "noise error"
    page = page_of(renamed(make_run(tmp_path / "run"), "psnr"))
    assert "Mean PSNR" in page
    assert "How PSNR is spread" in page
    assert "psnr" not in re.sub(r"<pre.*?</pre>", "", page)


def test_data_of_one_class_have_no_charts_of_classes(tmp_path):
    page = page_of(make_run(tmp_path / "run", classes=1, per_client=1))
    for words in ("Training labels", "How one-sided", "Classes it holds"):
        assert words not in page


def test_many_metrics_get_the_whole_width(tmp_path):
    folder = make_run(tmp_path / "run")
    assert '<section class="wide"><h2>All fairness figures' not in page_of(folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["metrics"]["ssim"] = summary["metrics"]["accuracy"]
    (folder / "summary.json").write_text(json.dumps(summary))
    assert '<section class="wide"><h2>All fairness figures' in page_of(folder)


def test_provenance_leaves_out_what_is_not_known_yet(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / "meta.json").write_text(json.dumps({"commit": "abc", "finished": None}))
    provenance = page_of(folder).split("Provenance</h2>")[1].split("<footer>")[0]
    assert "abc" in provenance
    assert "null" not in provenance


def test_a_state_that_is_known_better_takes_the_place_of_that_in_the_files(tmp_path):
    data = collect(unfinish(make_run(tmp_path / "run"), "running"))
    assert "state: running" in verdict.sentences(data)[0]
    assert "state: killed" in verdict.sentences(data, state="killed")[0]


@pytest.mark.parametrize(("largest", "told"), [(31.0, False), (60.0, True)])
def test_equally_large_clients_have_no_trend(largest, told):
    size = np.linspace(29.0, largest, 30)
    assert trend(size, size).startswith("Clients with less data") is told


def test_counts_and_constants_are_given_as_means_only(tmp_path):
    run = make_run(tmp_path / "run", rounds=4, task={"name": "denoising"})
    summary = json.loads((run / "summary.json").read_text())
    summary["metrics"]["frames"] = {**summary["metrics"]["loss"], "mean": 9.0}
    summary["means_only"] = ["frames"]
    summary["failures"] = {"retried": 0, "lost": 1}
    (run / "summary.json").write_text(json.dumps(summary))
    shutil.copy(run / "artifacts" / "samples-round-000003.png", run / "artifacts/predictions.png")
    page = page_of(run)
    assert '<th scope="col">frames</th>' not in page
    assert "how well a client is served: frames 9." in page
    assert "Replies lost to errors" in page
    assert "row by row noisy, after the final model, and truth" in page
    assert "A row is a class, from top to bottom: 0, 1, 2" in page


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("psnr", "dB"),
        ("noisy_psnr", "dB"),
        ("gain_over_filters", "dB"),
        ("fidelity_framewise", "dB"),
        ("gain_over_local", ""),
        ("ssim", ""),
    ],
)
def test_levels_and_their_differences_are_in_decibels(name, unit):
    assert metric(name).unit == unit
