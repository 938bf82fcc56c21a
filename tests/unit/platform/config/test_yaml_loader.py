"""The traps of YAML 1.1 that a configuration must not fall into."""

import math

import pytest
import yaml

from fedzda.base import UserError
from fedzda.platform.config.yaml_loader import dump, load_file, load_text, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("3e4", 30000.0),
        ("1.0e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1E+2", -100.0),
        ("010", 10),
        ("08", 8),
        ("-7", -7),
        ("0x1F", 31),
        ("0o17", 15),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("0b1", "0b1"),
        ("1e", "1e"),
        (".", "."),
        ("~", None),
        ("null", None),
        ("", None),
        ("-.inf", -math.inf),
        ("[1, 1e1, x]", [1, 10.0, "x"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_float():
    assert math.isnan(parse_value(".nan"))


def test_on_is_a_text_key():
    assert load_text("on: 1\nyes: 2", "x.yaml").data == {"on": 1, "yes": 2}


def test_lines_of_keys_and_items():
    text = "# a comment\na: 1\nb:\n  c: [x,\n      y]\n  d: {e: 2}\n"
    document = load_text(text, "x.yaml")
    assert document.data == {"a": 1, "b": {"c": ["x", "y"], "d": {"e": 2}}}
    assert document.lines == {
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 4,
        ("b", "c", 0): 4,
        ("b", "c", 1): 5,
        ("b", "d"): 6,
        ("b", "d", "e"): 6,
    }


def test_equal_keys_are_all_reported_with_both_lines():
    document = load_text("a: 1\nb: {c: 1, c: 2}\n\na: 3\n", "x.yaml")
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert document.problems == [
        (2, "key 'b.c' stands twice (first in line 2). Remove one of them."),
        (4, "key 'a' stands twice (first in line 1). Remove one of them."),
    ]


def test_anchors_are_copied_not_shared():
    data = load_text("a: &x {k: [1]}\nb: *x\n", "x.yaml").data
    assert data == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert data["a"] is not data["b"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: c: d", 2, "a second ':' in one line"),
        ("a:\n\t- b", 2, "a tab is used to indent"),
        ("a: b\t\nc: d", 1, "or stands between words"),
        ("a:\n  b: 1\n   c: 2", 3, "not indented like those above it"),
        ("a:\n  b: 1\n c: 2", 3, "not indented like those above it"),
        ('a: "x\nb: 1\n', 3, "quoted scalar that begins in line 1"),
        ("a: 1\nrounds 5\nb: 2", 3, "simple key that begins in line 2"),
        ("a: {name:digits, b: 1}", 1, "a blank is missing in 'name:digits'. Write 'name: digits'."),
        ("a: {alpha: 0,3}", 1, "the key 3 is not text; a decimal number has a point"),
        ("a: 1\nb: [1,\n", 3, "not valid YAML"),
        ("a: *nowhere", 1, "undefined alias"),
        ("a: &x [*x]", 1, "inside its own anchor"),
        ("a: 1\n---\nb: 1", 2, "One file holds one simulation"),
        ("a: 1\n5: x", 2, "the key 5 is not text"),
        ("a: 1\n? [b]\n: 1", 2, "is not text"),
        ("a: !!python/name:os.system x", 1, "is not supported"),
        ("a: !!set {b}", 1, "is not supported"),
        ("a: !!int x", 1, "cannot be read as int"),
        ("a: 1\nb: \x01", 2, "U+0001"),
    ],
)
def test_what_cannot_be_read_names_the_line(text, line, words):
    with pytest.raises(UserError) as caught:
        load_text(text, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml:{line}: ")
    assert words in str(caught.value)


def test_very_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(UserError, match="nested too deeply"):
        load_text("[" * 1500, "x.yaml")


def test_unreadable_files(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: ä".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8"):
        load_file(tmp_path / "latin.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        load_file(tmp_path / "none.yaml")


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfname: x")
    assert load_file(tmp_path / "bom.yaml").data == {"name": "x"}


def test_dump_reads_back_the_same_under_both_versions_of_yaml():
    tricky = ["1e-3", "yes", "010", "1:30", "2024-01-01", "1_000", "on", "", "~", "0o17", ".5"]
    data = {"texts": [*tricky, "ä: x", "#", "- a"], "numbers": [1e-5, 1e22, 3, 0.1, True, None]}
    assert load_text(dump(data), "x.yaml").data == data
    assert yaml.safe_load(dump(data)) == data
