"""Small parts of the report: markup, units, ticks, verdict, colours."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fedzda.platform.heterogeneity import label_distances
from fedzda.platform.report import units, verdict
from fedzda.platform.report.charts import labels, skew
from fedzda.platform.report.charts.heat import colour
from fedzda.platform.report.charts.size import rank_correlation
from fedzda.platform.report.data import collect
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.sections import worst_clients
from fedzda.platform.report.svg import Axis, log_ticks, ticks

from .make_run import make_run

NBSP = "\u00a0"


def test_markup_escapes_text_and_attributes_but_not_markup():
    assert tag("p", "<&>", tag("b", "x"), title='"') == (
        '<p title="&quot;">&lt;&amp;&gt;<b>x</b></p>'
    )
    assert tag("div", hidden=True, id=None, class_="a", data_tip="t") == (
        '<div hidden class="a" data-tip="t"></div>'
    )
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("circle", cx=1.2345, cy=2.0) == '<circle cx="1.2" cy="2"></circle>'
    assert isinstance(join("a", None, Markup("<b>")), Markup)
    assert join("a", None, Markup("<b>")) == "a<b>"


def test_units():
    accuracy, loss = units.metric("accuracy"), units.metric("loss")
    assert accuracy.show(0.4104) == f"41.0{NBSP}%"
    assert accuracy.gap(-0.37) == f"37.0{NBSP}points"
    assert accuracy.interval([0.88, 0.94]) == f"88.0{NBSP}to{NBSP}94.0{NBSP}%"
    assert accuracy.show(None) == accuracy.show(float("nan")) == accuracy.interval(None) == "–"
    assert (loss.show(0.12345), loss.higher_is_better, loss.fraction) == ("0.1235", False, False)
    stored = 1e4 * 0.25  # variance_pp2 is 1e4 times the variance, whatever the metric
    psnr, ssim = units.metric("noisy_psnr"), units.metric("ssim")
    assert accuracy.variance(52.34, unit=True) == f"52.3{NBSP}pp²"
    assert psnr.variance(stored, unit=True) == f"0.25{NBSP}dB²"
    assert ssim.variance(stored, unit=True) == ssim.variance(stored) == "0.25"
    assert (psnr.variance_of("variance"), ssim.variance_of("variance")) == (
        "variance (dB²)", "variance")  # fmt: skip
    assert accuracy.variance(None, unit=True) == "–"
    assert units.size(999) == f"999{NBSP}B"
    assert units.size(123_456_789) == f"123.5{NBSP}MB"
    assert units.duration(59.94) == f"59.9{NBSP}s"
    assert units.duration(3599.7) == f"1{NBSP}h 0{NBSP}min"
    assert units.names(["3"]) == "3"
    assert units.names(["3", "7"]) == "3 and 7"
    assert units.names([str(i) for i in range(20)]) == "0, 1, 2, 3, 4 and 15 more"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (49.5, 99.2, [40, 60, 80, 100]),
        (0.001, 0.0042, [0.001, 0.002, 0.003, 0.004, 0.005]),
        (-3, 3, [-4, -2, 0, 2, 4]),
        (5, 5, [4.4, 4.6, 4.8, 5, 5.2, 5.4, 5.6]),
    ],
)
def test_ticks_cover_the_range(low, high, expected):
    found = ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert len(found) <= 6
    if len(expected) <= 6:
        assert found == pytest.approx(expected)


def test_ticks_cover_any_range():
    rng = np.random.default_rng(0)
    for _ in range(500):
        low, high = sorted(rng.normal(size=2) * 10.0 ** rng.integers(-6, 7))
        found = ticks(low, high)
        assert len(found) in range(2, 7)
        slack = 1e-6 * (high - low)
        assert found[0] <= low + slack
        assert found[-1] >= high - slack


def test_ticks_of_tiny_ranges_differ():
    assert [f"{tick:g}" for tick in ticks(0, 4e-12)] == ["0", "1e-12", "2e-12", "3e-12", "4e-12"]


def test_ticks_of_counts_are_whole():
    assert ticks(59, 61, least_step=1) == [59, 60, 61]


def test_log_ticks():
    assert log_ticks(40, 2700) == [20, 50, 100, 200, 500, 1000, 2000, 5000]
    assert log_ticks(1, 1e6) == [10.0**k for k in range(7)]
    axis = Axis([10, 100, 1000], "x", log=True)
    assert axis.place(100) == pytest.approx(0.5)


def test_cividis_agrees_with_matplotlib():
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    for share in np.linspace(0, 1, 41):
        reference = mpl.colormaps["cividis"](share)[:3]
        assert to_rgb(colour(share)) == pytest.approx(reference, abs=0.04)


def test_rank_correlation_agrees_with_scipy():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 9, 60).astype(float)
    b = a + rng.normal(0, 4, 60).round()
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert rank_correlation(a, np.ones(60)) == 0.0


def change(run, **figures):
    """Overwrites stored figures of a run."""
    summary = json.loads((run / "summary.json").read_text())
    summary["metrics"]["accuracy"] |= figures
    (run / "summary.json").write_text(json.dumps(summary))


def test_verdict_names_the_worst_tenth(tmp_path):
    run = make_run(tmp_path / "run")
    data = collect(run)
    ids = sorted(data.final.client, key=lambda c: (data.final.value[c], c))[:2]
    change(run, worst10=0.41, mean=0.78)
    first = verdict.sentences(collect(run))[0]
    assert first == (
        f"The worst tenth of clients (clients {ids[0]} and {ids[1]}) reach 41.0{NBSP}% on "
        f"average, 37.0{NBSP}points below the mean."
    )


def test_verdict_of_ten_clients_names_one(tmp_path):
    data = collect(make_run(tmp_path / "run", clients=10))
    worst = int(np.argmin(data.final.value))
    assert verdict.sentences(data)[0].startswith(
        f"The worst tenth of clients (client {worst}) reaches "
    )


def test_verdict_tells_the_course_and_the_class(tmp_path):
    data = collect(make_run(tmp_path / "run"))
    said = " ".join(verdict.sentences(data))
    label = min(data.class_recalls, key=lambda each: data.class_recalls[each][0])
    assert f"Class {label} is recognised worst" in said
    gaps = [f["mean"] - f["worst10"] for _, f in (data.history[0], data.history[-1])]
    word = "shrank" if gaps[1] < gaps[0] else "grew"
    assert f"{word} from {100 * gaps[0]:.1f}{NBSP}points in round 1" in said


def test_verdict_names_no_worst_class_and_no_course_where_there_is_none(tmp_path):
    said = " ".join(verdict.sentences(collect(make_run(tmp_path / "run", rounds=2, shift=-2))))
    assert "recognised worst" not in said
    gap = "The gap between the mean and the worst tenth"
    assert f"{gap} is 0.0{NBSP}points in round 2, as it was in round 1." in said


def test_verdict_counts_one_of_many(tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    values = np.sort(collect(run).final.value)
    change(run, mean=(values[0] + values[1]) / 2 + verdict.BEHIND)
    said = verdict.sentences(collect(run))
    assert "1 of 20 clients lies more than 10 points below the mean." in said


def test_class_map_picks_the_edges(tmp_path):
    data = collect(make_run(tmp_path / "run", rounds=1, clients=150))
    order = data.final.client[np.argsort(data.final.value, kind="stable")]
    shown = data.map_clients
    assert shown.size == 100
    assert shown[:25].tolist() == order[:25].tolist()
    assert shown[-25:].tolist() == order[-25:].tolist()
    assert np.unique(shown).size == 100
    assert data.recall_map.shape == (10, 100)
    assert np.isfinite(data.recall_map).sum(axis=0).tolist() == [2] * 100


def test_sizes_are_training_samples_by_client(tmp_path):
    data = collect(make_run(tmp_path / "run", rounds=1))
    what, sizes = data.sizes
    assert what == "training samples"
    assert sizes.tolist() == [2 * (20 + 9 * client) for client in range(20)]
    (data.folder.path / "artifacts" / "label_counts.parquet").unlink()
    what, sizes = collect(data.folder.path).sizes
    assert what == "test samples"
    assert sizes.tolist() == [10 + 7 * client for client in range(20)]


def test_verdict_counts_a_long_tail(tmp_path):
    data = collect(make_run(tmp_path / "run", rounds=1, clients=90))
    assert verdict.sentences(data)[0].startswith("The worst tenth of clients (9 of 90) reach ")


def test_of_many_classes_shares_and_sizes_are_still_of_all(tmp_path):
    run = make_run(tmp_path / "run", rounds=1, clients=12, classes=200, per_client=40)
    data = collect(run)
    assert len(data.classes) == 100
    assert "Of 200 classes the 100 recognised worst are shown." in data.map_note
    table = pd.read_parquet(run / "artifacts" / "label_counts.parquet")
    counts = table[table.split == "train"].pivot_table(
        index="client", columns="label", values="count", fill_value=0
    )
    drawn = {row[0]: row for row in skew.draw(data).rows}
    distance = label_distances(counts.to_numpy().astype(np.int64))
    for client, size, far in zip(counts.index, counts.sum(axis=1), distance, strict=True):
        assert drawn[str(client)][1:3] == [f"{int(size):,}", f"{far:.3f}"]
    first, label = int(data.map_clients[0]), data.classes[0]
    at, whole = counts.loc[first].get(label, 0), counts.loc[first].sum()
    assert f"client {first}, class {label}: {int(at):,} of {int(whole):,} samples" in str(
        labels.draw(data).svg
    )
    worst = next(row for row in str(worst_clients(data)).split("<tr>") if f">{first}<" in row)
    assert "and 34 more" in worst


def test_a_run_without_evaluation_has_no_worst_tenth_in_its_skew(tmp_path):
    data = collect(make_run(tmp_path / "run", rounds=1, clients=20))
    assert "Squares are the worst tenth." in skew.draw(data).caption
    drawn = skew.draw(replace(data, final=None))
    assert "worst" not in drawn.caption
    assert {row[-1] for row in drawn.rows} == {"no"}
