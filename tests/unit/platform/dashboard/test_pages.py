"""Every page: what it shows, what it says where a run has nothing, and that all text is escaped."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import quote

import pandas as pd
import pytest
import yaml

from fedzda.platform.dashboard.pages.runs import COLUMNS

from ..report.make_run import add_findings, make_run, unfinish

PAGES = ("/run", "/clients", "/images", "/cost")
EVIL = "<script>alert(1)</script>"


TAGS = set(
    """html head meta title link script body a header nav ul li main div p h1 h2 h3 span form label
    input select option button table caption thead tbody tr th td section figure figcaption details
    summary svg defs pattern line rect circle path polyline text dl dt dd small strong code pre time
    img progress""".split()  # noqa: SIM905
)


class Elements(HTMLParser):
    """What a browser takes for elements, attributes and addresses."""

    def __init__(self):
        super().__init__()
        self.names, self.attributes, self.links = set(), set(), set()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value for name, value in attrs if name in ("href", "src", "action")}


def words(text):
    """The text of a page, as it is read."""
    return html.unescape(re.sub(r"<[^>]+>", " ", text))


@pytest.mark.parametrize("path", ["/", "/compare", "/sweeps", "/studies"])
@pytest.mark.parametrize("empty", [False, True])
def test_every_page_without_a_run_is_whole(visit, root, tmp_path, path, empty):
    answer = visit(path, tmp_path if empty else root)
    assert answer.status_code == 200
    assert answer.text.startswith('<!doctype html>\n<html lang="en">')
    assert answer.text.count("<h1>") == 1
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("run", ["zdac-s0", "more/early"])
def test_every_page_of_a_run_is_whole(visit, path, run):
    answer = visit(f"{path}?run={quote(run, safe='')}")
    assert answer.status_code == 200
    assert answer.text.count("<h1>") == 1
    assert f'href="/cost?run={quote(run, safe="")}"' in answer.text


def test_what_is_missing_is_a_page_with_a_sentence(visit):
    for path in ("/no", "/run", "/run?run=../zdac-s0", "/sweep?results=x", "/study", "/static/no",
                 "/static/..%2faccess.py", "/clients?run=%2fetc", "/artifact?run=zdac-s0&name=no",
                 "/artifact?run=zdac-s0&name=..%2fconfig.yaml"):  # fmt: skip
        answer = visit(path)
        assert answer.status_code == 404, path
        assert "There " in answer.text or "This run has no such picture" in answer.text


# -- the list -----------------------------------------------------------------------------------


def listed(text):
    return re.findall(r'data-run="(.*?)"', text)


def test_the_list_is_filtered(visit):
    everything = listed(visit("/").text)
    assert len(everything) == 4
    assert listed(visit("/?state=interrupted").text) == ["more/early"]
    assert listed(visit("/?strategy=fed-avg").text) == ["avg-s0"]
    assert sorted(listed(visit("/?q=DIGITS+zdac-s").text)) == ["zdac-s0", "zdac-s1"]
    assert "No run matches" in visit("/?q=nothing-of-the-kind").text


@pytest.mark.parametrize("key", [key for key, _ in COLUMNS])
def test_the_list_is_sorted_both_ways(visit, key):
    rising = listed(visit(f"/?sort={key}&order=rising").text)
    falling = visit(f"/?sort={key}&order=falling").text
    assert sorted(rising) == sorted(listed(falling))
    assert falling.count('aria-sort="descending"') == 1
    if key in ("mean", "worst10", "variance_pp2"):
        assert rising == listed(falling)[::-1]


@pytest.mark.parametrize(
    "query", ["sort=nonsense", "page=-1", "page=1e9", "page=99999999", "q=%ff"]
)
def test_nonsense_in_the_address_does_no_harm(visit, query):
    assert visit(f"/?{query}").status_code == 200


def test_a_run_that_cannot_be_read_is_listed_with_the_reason(visit, root, tmp_path):
    shutil.copytree(root / "zdac-s0", tmp_path / "broken")
    (tmp_path / "broken" / "summary.json").write_text("{")
    assert "summary.json is not readable JSON" in words(visit("/", tmp_path).text)
    for path in ("/run", "/clients", "/cost"):
        answer = visit(f"{path}?run=broken", tmp_path)
        assert "cannot be shown" in answer.text
        assert "is not readable JSON" in words(answer.text)


# -- one run ------------------------------------------------------------------------------------


def test_a_finished_run_shows_its_report(visit):
    text = visit("/run?run=zdac-s0").text
    assert 'id="spread"' in text
    assert 'id="recall"' in text
    assert "Who is left behind" in text
    assert "data-live-run" not in text


def test_a_live_run_shows_its_course_and_where_it_stands(visit, tmp_path):
    run = unfinish(make_run(tmp_path / "run"), "running")
    status = {"state": "running", "round": 4, "rounds": 6, "eta": 75.0, "time": 4e9}
    (run / "status.json").write_text(json.dumps(status))
    text = visit("/run?run=run", tmp_path).text
    assert 'data-live-run="/run/events?run=run"' in text
    assert 'data-panel="/run/panel?run=run"' in text
    assert "Round 4 of 6 is done." in text
    assert '<progress max="6" value="4"' in text
    assert 'id="progress"' in text
    assert 'id="recall"' not in text  # drawn at the end, not every few seconds
    panel = visit("/run/panel?run=run", tmp_path).text
    assert panel.startswith('<section class="verdict">')
    assert "not finished" not in panel  # the progress bar says so


def test_before_the_first_round_the_page_says_so(visit, tmp_path):
    run = unfinish(make_run(tmp_path / "run"), "starting")
    (run / "rounds.jsonl").unlink()
    shutil.rmtree(run / "clients")
    assert "The first round has not ended yet" in visit("/run?run=run", tmp_path).text
    assert "No client has been evaluated yet" in visit("/cost?run=run", tmp_path).text


def test_the_explorer_shows_one_client(visit, root):
    table = pd.read_parquet(root / "zdac-s0" / "clients" / "part-000006.parquet")
    final = table[(table.metric == "accuracy") & (table.phase == "evaluate")]
    worst = final.sort_values(["value", "client"]).iloc[0]
    text = words(visit("/clients?run=zdac-s0").text)
    assert f"Client {worst.client} " in text
    assert f"{100 * worst.value:.1f}\u00a0%" in text
    chosen = visit("/clients?run=zdac-s0&client=3").text
    assert "Accuracy of client 3 by round" in chosen
    assert "6 of 6" in words(chosen)  # it trained in every round
    history = table[(table.client == 3) & (table.metric == "accuracy")].value.item()
    assert f"round 6: {100 * history:.1f}" in chosen
    held = re.findall(r'<th scope="row">(\d)</th>', chosen.partition("What it holds")[2])
    labels = pd.read_parquet(root / "zdac-s0" / "artifacts" / "label_counts.parquet")
    assert sorted(map(int, held)) == sorted(set(labels[labels.client == 3].label))


def test_a_client_that_the_run_does_not_know(visit):
    assert "knows no client 99" in visit("/clients?run=zdac-s0&client=99").text
    assert visit("/clients?run=zdac-s0&client=x&page=77").status_code == 200


def test_a_client_that_was_never_evaluated(visit, tmp_path):
    run = make_run(tmp_path / "run", rounds=2)
    file = run / "artifacts" / "label_counts.parquet"
    more = pd.DataFrame([{"client": 99, "split": "train", "label": 1, "count": 5}])
    pd.concat([pd.read_parquet(file), more]).to_parquet(file, index=False)
    answer = visit("/clients?run=run&client=99", tmp_path)
    assert answer.status_code == 200
    assert "It was never evaluated." in answer.text


def test_pictures_are_shown_and_only_pictures(visit, tmp_path):
    run = add_findings(make_run(tmp_path / "run"))
    text = visit("/images?run=run", tmp_path).text
    assert "Synthetic images of strategy fed-zdac, round 3" in text
    assert "A row is a class, from top to bottom: 0, 1, 2" in text
    assert "In a good sheet the rows differ" in text
    assert "Other pictures" in text
    source = re.search(r'src="(/artifact.*?)"', text)[1]
    answer = visit(html.unescape(source), tmp_path)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert visit("/artifact?run=run&name=classes.json", tmp_path).status_code == 404
    (run / "artifacts" / "samples-round-000009.png").symlink_to("/etc/hostname")
    refused = visit("/artifact?run=run&name=samples-round-000009.png", tmp_path)
    assert refused.status_code == 422
    assert "is a link to outside" in words(refused.text)
    for file in (run / "artifacts").glob("samples-*"):
        file.unlink()
    assert "kept no synthetic images" in visit("/images?run=run", tmp_path).text


def test_devices_and_cost(visit, root):
    text = visit("/cost?run=zdac-s0").text
    assert "device phone" in text
    assert "device watch" in text
    summary = json.loads((root / "zdac-s0" / "summary.json").read_text())
    phones = summary["by_device"]["phone"]["accuracy"]["mean"]
    assert f"{100 * phones:.1f}\u00a0%" in html.unescape(text)
    assert 'id="seconds"' in text
    assert 'data-tip="120\u00a0B, mean: ' in text  # six rounds, ten bytes each way
    assert 'id="virtual"' not in text
    assert "lost to errors" in text


def test_virtual_time_of_a_run_with_a_clock(visit, tmp_path):
    file = make_run(tmp_path / "run") / "rounds.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [row | {"virtual_total_sec": 3600.0 * row["round"]} for row in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = visit("/cost?run=run", tmp_path).text
    assert "virtual time (h)" in text
    assert 'data-tip="6\u00a0h 0\u00a0min, worst tenth: ' in text


def test_an_update_that_was_lost_is_no_training(visit, tmp_path):
    part = make_run(tmp_path / "run") / "clients" / "part-000002.parquet"
    table = pd.read_parquet(part)
    lost = (table.client == 3) & (table.phase == "train")
    table.loc[lost, ["metric", "num_examples"]] = ["late", 0]
    table.to_parquet(part, index=False)
    assert "5 of 6" in words(visit("/clients?run=run&client=3", tmp_path).text)


# -- several runs ---------------------------------------------------------------------------------


def test_runs_are_compared_with_the_baseline_that_was_chosen(visit):
    runs = "run=avg-s0&run=zdac-s0"
    text = visit(f"/compare?{runs}").text
    assert "Difference to fed-avg-digits in points" in words(text)
    assert "strategy.name" in text
    for key in ("cdf", "pareto", "convergence"):
        assert f'id="{key}"' in text
    turned = visit(f"/compare?{runs}&base=zdac-s0").text
    assert "Difference to fed-zdac-digits in points" in words(turned)


def test_of_an_error_further_left_is_better(visit, tmp_path):
    run = make_run(tmp_path / "run", rounds=1)
    summary = json.loads((run / "summary.json").read_text())
    summary["metrics"] = {"noise_error": summary["metrics"]["accuracy"]}
    (run / "summary.json").write_text(json.dumps(summary))
    part = run / "clients" / "part-000001.parquet"
    table = pd.read_parquet(part).replace({"metric": {"accuracy": "noise_error"}})
    table.to_parquet(part, index=False)
    assert "further left is better" in words(visit("/compare?run=run", tmp_path).text)
    assert "a steep line far to the left" in words(visit("/run?run=run", tmp_path).text)
    assert "further right is better" in words(visit("/compare?run=zdac-s0").text)


def test_a_group_of_seeds_is_one_line_and_one_row(visit):
    text = visit("/compare?run=zdac-s0&run=zdac-s1").text
    assert "2 seeds" in text
    assert text.count('class="line s0"') == 2 * 2  # two charts, and their legends
    assert 'class="line s1"' not in text


def test_runs_that_cannot_be_compared_are_named(visit, tmp_path, root):
    text = words(visit("/compare?run=zdac-s0&run=more%2Fearly&run=unknown").text)
    assert "is left out: its state is interrupted" in text
    assert "None of these runs is finished" in visit("/compare?run=more%2Fearly").text
    shutil.copytree(root / "zdac-s0", tmp_path / "one")
    shutil.copytree(root / "zdac-s0", tmp_path / "two")
    summary = json.loads((tmp_path / "two" / "summary.json").read_text())
    summary["metrics"] = {"miou": summary["metrics"]["accuracy"]}
    (tmp_path / "two" / "summary.json").write_text(json.dumps(summary))
    text = words(visit("/compare?run=one&run=two", tmp_path).text)
    assert "runs must measure the same metric" in text


# -- hostile text ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose every text tries to become markup, in a folder whose name does, too."""
    folder = tmp_path_factory.mktemp("hostile")
    run = make_run(folder / "<img src=x onerror=alert(1)>", name=EVIL)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["strategy"]["name"] = config["data"]["name"] = EVIL
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "artifacts" / "classes.json").write_text(json.dumps([f'"{EVIL}'] * 10))
    for part in (run / "clients").glob("*.parquet"):
        table = pd.read_parquet(part)
        table.assign(device=EVIL, variant=f"'{EVIL}").to_parquet(part, index=False)
    (folder / "tags.json").write_text(json.dumps({run.name: [EVIL]}))
    results = folder / "results" / "<b>"
    results.mkdir(parents=True)
    cell = {"cell": {"arm": EVIL}, "seed": 0, "figures": {"global": {"mean": 0.5}}}
    (results / "a.json").write_text(json.dumps(cell))
    study = folder / "results" / "<i>"
    study.mkdir()
    (study / f"x{EVIL.replace('/', '')}.json").write_text(json.dumps({EVIL: 1, "word": EVIL}))
    return folder


@pytest.mark.parametrize(
    "path",
    ["/", f"/?q={quote(EVIL)}", *(f"{p}?run=RUN" for p in PAGES), "/run/panel?run=RUN",
     "/compare?run=RUN", "/sweeps", "/studies", "/sweep?results=results%2F%3Cb%3E",
     "/study?results=results%2F%3Ci%3E", f"/run?run={quote(EVIL)}", f"/{quote(EVIL)}",
     f"/sweep?results=results%2F%3Cb%3E&base={quote(EVIL)}&down={quote(EVIL)}"],
)  # fmt: skip
def test_text_of_users_is_escaped_everywhere(visit, hostile, path):
    run = quote("<img src=x onerror=alert(1)>")
    text = visit(path.replace("RUN", run), hostile, results=[hostile / "results"]).text
    assert text.startswith("<")
    for marker in ("<script>", "<img src=x", "<b>", "<i>", "onerror=alert(1)>"):
        assert marker not in text
    found = Elements()
    found.feed(text)
    assert found.names <= TAGS
    assert {name for name in found.attributes if name.startswith("on") or name == "style"} == set()
    assert {link for link in found.links if not link.startswith(("/", "#", "data:"))} == set()
