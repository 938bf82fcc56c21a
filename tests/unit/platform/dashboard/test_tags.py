"""Tags lie beside the runs, and run folders stay as they are."""

import json

import pytest

from fedzda.base import UserError
from fedzda.platform.dashboard.tags import Tags, parse

from ..report.make_run import make_run

FORM = {"origin": "http://127.0.0.1:8642"}


def test_commas_separate_and_each_counts_once():
    assert parse(" a,b  c ,, a,Ü ") == ["a", "b c", "Ü"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("x" * 41, "at most 40"), ("a\x00b", "printable"), (",".join(map(str, range(21))), "20 tags")],
)
def test_unusable_tags_are_refused(text, said):
    with pytest.raises(UserError, match=said):
        parse(text)


@pytest.mark.parametrize("content", ["{", "[1]", '{"other": "good", "more": ["x"]}'])
def test_a_damaged_file_is_named_and_kept(tmp_path, content):
    (tmp_path / "tags.json").write_text(content)
    tags = Tags(tmp_path)
    with pytest.raises(UserError, match=r"'tags\.json'"):
        tags.set("run", "a")
    assert (tmp_path / "tags.json").read_text() == content


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text('{"run": ["found"]}')
    (tmp_path / "tags.json").symlink_to("secret")
    with pytest.raises(UserError, match="is a link"):
        Tags(tmp_path).all()


def test_the_form_writes_tags_json_only(tmp_path, visit):
    run = make_run(tmp_path / "run", rounds=1)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    client = visit.client(tmp_path)
    answer = client.post("/tags", data={"run": "run", "tags": "good, <b>"}, headers=FORM)
    assert answer.status_code == 303
    assert json.loads((tmp_path / "tags.json").read_text()) == {"run": ["good", "<b>"]}
    page = client.get("/").text
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert client.get("/?tag=good").text.count("data-run=") == 1
    assert client.get("/?tag=other").text.count("data-run=") == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    client.post("/tags", data={"run": "run", "tags": ""}, headers=FORM)
    assert json.loads((tmp_path / "tags.json").read_text()) == {}


def test_what_the_form_got_wrong_is_said_on_the_page(visit, root):
    client = visit.client()
    answer = client.post("/tags", data={"run": "zdac-s0", "tags": "y" * 50}, headers=FORM)
    assert answer.status_code == 422
    assert "at most 40 printable characters (found 50)" in answer.text
    unknown = client.post("/tags", data={"run": "../x", "tags": "a"}, headers=FORM)
    assert unknown.status_code == 404
    long = client.post("/tags", data={"run": "zdac-s0", "tags": "y" * 20_000}, headers=FORM)
    assert long.status_code == 413
    assert not (root / "tags.json").exists()
