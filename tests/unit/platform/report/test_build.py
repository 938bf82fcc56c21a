"""The report as a whole: contents, safety, and runs that lack something."""

import base64
import hashlib
import html
import json
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.platform.report import figures
from fedzda.platform.report.build import build_report
from fedzda.platform.report.charts import draw_all
from fedzda.platform.report.data import collect, gains_over
from fedzda.platform.report.html import page as html_page

from .make_run import CONFIG, add_findings, make_run, page_of, unfinish


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def page(run):
    return build_report(run).read_text(encoding="utf-8")


def lead(page):
    return html.unescape(re.search(r'<p class="lead">(.*?)</p>', page)[1])


def test_contents(page):
    for title in (
        *("How accuracy is spread over the clients", "Mean and worst tenth over 6 evaluated"),
        *("Accuracy against client size", "Recall by client and class"),
        *("Training labels by client and class", "Clients to look at first"),
        *("All fairness figures", "Sample synthetic images", "Cost", "Configuration"),
        "Provenance",
    ):
        assert title in page
    assert page.count("<svg ") == 6
    assert page.count('<img src="data:image/png;base64,') == 2
    assert "name: fed-zdac\n" in page


def test_variances_of_psnr_are_in_squared_decibels(tmp_path):
    folder = make_run(tmp_path / "run", rounds=1)
    for name in ("rounds.jsonl", "summary.json"):
        text = (folder / name).read_text().replace('"accuracy"', '"psnr"')
        (folder / name).write_text(text)
    part = folder / "clients" / "part-000001.parquet"
    table = pd.read_parquet(part).replace({"metric": {"accuracy": "psnr"}})
    table.to_parquet(part, index=False)
    variance = table[table.metric == "psnr"].value.var(ddof=0)
    page = page_of(folder)
    tile = re.search(r"<dt>Variance</dt>(.*?)</div>", page)[1]
    assert f"{variance:.4g}\u00a0dB²" in tile
    assert "squared decibels" in tile
    assert '<th scope="col">Variance (dB²)</th>' in page
    assert "pp²" not in page


def test_figures_for_paper(run, page):
    files = sorted(path.name for path in (run / "figures").iterdir())
    keys = ("labels", "progress", "recall", "size", "skew", "spread")
    assert files == sorted(f"{key}.{ending}" for key in keys for ending in ("png", "pdf"))
    assert (run / "figures" / "spread.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "figures" / "spread.pdf").read_bytes().startswith(b"%PDF")


def test_structure_for_assistive_technology(page):
    assert '<html lang="en">' in page
    assert page.count("<h1>") == 1
    figures = re.findall(r"<figure id=.*?</details></figure>", page, re.S)
    assert len(figures) == 6
    for figure in figures:
        assert re.search(r'<svg role="img" aria-label="[^"]{30,}"', figure)
        assert "<figcaption>" in figure
        assert "<details><summary>Table: " in figure
        assert '<th scope="col">' in figure
        assert '<th scope="row">' in figure
        assert 'download="' in figure
        assert 'tabindex="0"' in figure


def test_policy_forbids_requests_and_matches_what_is_inside(page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="(.*?)"', page)[1])
    assert "default-src 'none'" in policy
    assert "http" not in policy
    for kind in ("style", "script"):
        inside = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert " style=" not in page  # the policy would drop it


def test_table_under_a_chart_holds_the_numbers(run, page):
    table = re.search(r'<figure id="spread".*?href="data:text/csv[^,]*,(.*?)"', page, re.S)[1]
    lines = base64.b64decode(table).decode().splitlines()
    assert lines[0] == "Rank,Client,Accuracy,Share of clients at or below"
    final = pd.read_parquet(run / "clients" / "part-000006.parquet")
    final = final[final.metric == "accuracy"].sort_values("value", kind="stable")
    assert [int(line.split(",")[1]) for line in lines[1:]] == final.client.tolist()


def test_rebuilding_gives_the_same_bytes_and_leaves_the_plot_style_alone(run, page):
    before = dict(mpl.rcParams)
    pictures = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    assert build_report(run).read_text(encoding="utf-8") == page
    assert {path.name: path.read_bytes() for path in (run / "figures").iterdir()} == pictures
    assert not list(run.glob(".*"))
    assert dict(mpl.rcParams) == before


def test_hostile_names_are_escaped(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'$\\frac{"
    run = make_run(tmp_path / "run", rounds=1, name=evil, strategy={"name": evil})
    (run / "artifacts" / "classes.json").write_text(json.dumps([evil, "\ud800", *"abcdefgh"]))
    (run / "meta.json").write_text(json.dumps({evil: evil, "source_folder": "/home/someone"}))
    page = build_report(run).read_text(encoding="utf-8")
    assert page.count("<script>") == 1
    assert "<img src=x" not in page
    assert html.escape(evil) in page
    assert "/home/someone" not in page


def test_unfinished_run_says_so_and_computes_its_own_figures(tmp_path):
    run = make_run(tmp_path / "run")
    expected = json.loads((run / "summary.json").read_text())["metrics"]["accuracy"]
    unfinish(run)
    with (run / "rounds.jsonl").open("a") as file:
        file.write('{"round": 7, "metr')  # killed while writing
    page = page_of(run)
    assert lead(page) == "This run is not finished (state: interrupted, 6 of 6 rounds done)."
    assert f"{100 * expected['worst10']:.1f}\u00a0%" in page


def test_without_evaluation(tmp_path):
    run = unfinish(make_run(tmp_path / "run", rounds=1), "running")
    for part in (run / "clients").iterdir():
        part.unlink()
    (run / "rounds.jsonl").write_text("")
    page = page_of(run)
    assert "nothing can be said about fairness" in page
    assert 'id="labels"' in page
    assert 'id="spread"' not in page


def test_config_alone_is_enough(tmp_path):
    (tmp_path / "config.yaml").write_text("name: early\nrounds: 3\n")
    page = page_of(tmp_path)
    assert "state: unknown, 0 of 3 rounds done" in page
    assert "<svg" not in page


def test_one_round_one_client_no_classes(tmp_path):
    run = make_run(tmp_path / "run", rounds=1, clients=1)
    part = run / "clients" / "part-000001.parquet"
    table = pd.read_parquet(part)
    table[~table.metric.str.startswith("recall/")].to_parquet(part)
    for file in (run / "artifacts").iterdir():
        file.unlink()
    page = page_of(run)
    assert lead(page).startswith("The only client reaches")
    assert re.findall(r'<figure id="(\w+)"', page) == ["spread", "progress"]


def test_equal_clients(tmp_path):
    run = make_run(tmp_path / "run", rounds=2, shift=-2)
    page = page_of(run)
    assert lead(page) == "All clients reach the same, 0.0\u00a0%."


def test_clients_without_test_samples_are_counted(tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    part = run / "clients" / "part-000001.parquet"
    table = pd.read_parquet(part)
    table.loc[table.client.isin([0, 1]) & (table.metric == "accuracy"), "value"] = np.nan
    table.to_parquet(part)
    (run / "summary.json").unlink()
    assert "2 clients have no value (no test sample) and are not counted." in html.unescape(
        page_of(run)
    )


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("config.yaml", "a: [", "not readable YAML"),
        ("summary.json", "{", "not readable JSON"),
        ("rounds.jsonl", "{\n{}\n", r"rounds\.jsonl:1' is not readable JSON"),
        ("clients/part-000001.parquet", "", "not a complete Parquet file"),
        ("artifacts/label_counts.parquet", "PAR1 cut", "not a complete Parquet file"),
        ("artifacts/classes.json", "[", "not readable JSON"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, match):
    run = make_run(tmp_path / "run", rounds=1)
    (run / name).write_text(content)
    with pytest.raises(UserError, match=match):
        build_report(run)


def test_no_run_folder(tmp_path):
    with pytest.raises(UserError, match=r"has no config\.yaml"):
        build_report(tmp_path)


def test_damaged_sample_image_is_named_not_embedded(tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    (run / "artifacts" / "samples-round-000001.png").write_text("no image")
    page = page_of(run)
    assert "see artifacts/samples-round-000001.png" in page


def test_many_clients_stay_a_small_page(tmp_path):
    """20,000 clients and 120 classes: charts are thinned, and the captions say so."""
    run = make_run(tmp_path / "run", rounds=1, clients=40)
    rng = np.random.default_rng(0)
    n = 20_000
    client = np.arange(n)
    label = rng.integers(0, 120, n)
    base = pd.DataFrame({
        "round": np.int32(1), "phase": "evaluate", "client": client, "split": "test",
        "stage": "global", "metric": "accuracy", "value": rng.random(n),
        "num_examples": rng.integers(1, 900, n), "device": "d", "variant": "full",
        "seconds": 0.0, "bytes_down": 0, "bytes_up": 0,
    })  # fmt: skip
    recall = base.assign(metric=[f"recall/{i}" for i in label])
    table = pd.concat([base, recall])
    for column in ("phase", "split", "stage", "metric", "device"):
        table[column] = table[column].astype("category")
    table.to_parquet(run / "clients" / "part-000001.parquet")
    (run / "artifacts" / "label_counts.parquet").unlink()
    (run / "summary.json").unlink()
    page = page_of(run)
    assert len(page) < 3_000_000
    assert "40 of 20,000 clients are shown" in page
    assert "20,000 clients in 20 groups of like size" in page
    assert "The dots are percentiles." in page


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """A run with everything, and a local-only one to compare it with."""
    folder = tmp_path_factory.mktemp("findings")
    run = add_findings(make_run(folder / "run"))
    same = {"data": CONFIG["data"] | {"seed": 0}, "strategy": {"name": "local-only"}}
    return run, make_run(folder / "alone", seed=1, shift=-0.02, **same)


def test_heterogeneity_groups_benefit_and_probe(findings, tmp_path):
    run, local = findings
    data = collect(run, local)
    charts = draw_all(data)
    page = html.unescape(html_page(data, charts))
    for title in (
        *("How unlike the clients are", "Groups by camera", "Is it worth it for everybody?"),
        *("Do synthetic images give clients away?", "Training labels by cluster and class"),
        *("Accuracy by camera", "Benefit against cost", "How close synthetic images come"),
    ):
        assert title in page
    assert "Cluster 1 (10 clients): turned by 90°" in page
    assert "Recall (equal opportunity) of class 7" in page
    assert "The synthetic images repeat what the clients hold" in page
    assert page.count('<img src="data:image/png;base64,') == 2 + 2 + 1
    keys = re.findall(r'<figure id="(\w+)"', page)
    assert keys == [
        *("spread", "progress", "size", "groups", "benefit", "leakage", "skew"),
        *("recall", "labels", "clusters"),
    ]
    others = [
        chart for chart in charts if chart.key in ("groups", "benefit", "leakage", "clusters")
    ]
    written = {path.name for chart in others for path in figures.save(chart, tmp_path)}
    assert len(written) == 8, "those that other runs lack are painted for paper too"


def test_gain_against_cost_by_hand(findings):
    run, local = findings
    gains = collect(run, local).gains
    tables = []
    for path in (run, local):
        table = pd.concat(pd.read_parquet(part) for part in sorted((path / "clients").iterdir()))
        last = table[(table.metric == "accuracy") & (table["round"] == 6)]
        tables.append((table, last.set_index("client").value))
    assert gains.client.tolist() == list(range(20))
    assert gains.gain == pytest.approx((tables[0][1] - tables[1][1]).to_numpy())
    assert gains.figures["share_worse_off"] == pytest.approx((gains.gain < 0).mean())
    assert gains.seconds == pytest.approx(np.full(20, 6 * 0.01))  # a row per round, once each


def test_a_local_run_of_other_clients_is_refused(findings, tmp_path):
    run, _ = findings
    other = make_run(tmp_path / "other", rounds=1, clients=1, strategy={"name": "local-only"})
    part = other / "clients" / "part-000001.parquet"
    pd.read_parquet(part).assign(client=77).to_parquet(part)
    with pytest.raises(UserError, match="have no evaluated client in common"):
        build_report(run, other)
    with pytest.raises(UserError, match="is not a folder"):
        build_report(run, tmp_path / "none")


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("seed is 0 and 3", {"seed": 3}),
        ("data.clients is 20 and 10", {"data": CONFIG["data"] | {"clients": 10}}),
        ("data.partition.name is pathological and iid", {"data": {"partition": {"name": "iid"}}}),
    ],
)
def test_a_local_run_of_other_data_is_refused(findings, tmp_path, key, change):
    run, _ = findings
    other = make_run(tmp_path / "other", rounds=1, strategy={"name": "local-only"}, **change)
    with pytest.raises(UserError, match=rf"hold other data.*\({key}\)"):
        collect(run, other)


def test_many_groups_and_many_clusters_stay_readable(tmp_path):
    run = add_findings(make_run(tmp_path / "run", rounds=1))
    summary = json.loads((run / "summary.json").read_text())
    one = summary["groups"]["groups"]["phone"]
    summary["groups"]["groups"] = {f"value {i}": one | {"accuracy": i / 50} for i in range(50)}
    (run / "summary.json").write_text(json.dumps(summary))
    page = page_of(run)
    assert "20 of 50 are drawn." in page
    assert page.count("<svg ") == 9


def test_of_an_error_less_is_a_gain(findings):
    run, local = findings
    loss = gains_over(run, local, "loss")
    accuracy = gains_over(run, local, "accuracy")
    assert ((loss.gain > 0) == (accuracy.gain > 0)).all()
    assert loss.figures["mean_gain"] == pytest.approx(loss.gain.mean())
    assert loss.figures["share_worse_off"] == accuracy.figures["share_worse_off"]
