"""Dotted overrides, and what they say when they do not fit."""

import pytest

from fedzda.base import UserError
from fedzda.platform.config.overrides import Sources, apply_overrides, parse_override


def test_values_are_yaml_and_blocks_are_made():
    data, problems = apply_overrides(
        {"a": 1}, ["a=1e-3", "b.c.d=[1, x]", "e=null", "f={g: yes}", "h="], Sources("x.yaml")
    )
    assert problems == []
    assert data == {
        "a": 0.001,
        "b": {"c": {"d": [1, "x"]}},
        "e": None,
        "f": {"g": "yes"},
        "h": None,
    }


def test_the_given_data_stay_as_they_are():
    before = {"a": {"b": 1}}
    apply_overrides(before, ["a.b=2"], Sources("x.yaml"))
    assert before == {"a": {"b": 1}}


def test_lists_are_changed_by_index():
    data, problems = apply_overrides({"a": [{"b": 1}, 5]}, ["a.0.b=2", "a.1=6"], Sources("x.yaml"))
    assert (data, problems) == ({"a": [{"b": 2}, 6]}, [])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rounds", "must have the form key=value"),
        ("=3", "must have the form key=value"),
        ("a..b=3", "must have the form key=value"),
        ("a.b=3", "'a' is a single value, so it has no key 'b'"),
        ("l.2=0", "must be an index (0 to 1)"),
        ("l.x=0", "must be an index (0 to 1)"),
        ("l.-1=0", "must be an index (0 to 1)"),
        ("e.0=0", "must be an index (none, it is empty)"),
        ("a=[1", "the value cannot be read"),
        ("a={b: 1, b: 2}", "stands twice"),
    ],
)
def test_overrides_that_cannot_be_applied(override, words):
    data = {"a": 1, "l": [1, 2], "e": []}
    after, problems = apply_overrides(data, [override, "a=9"], Sources("x.yaml"))
    assert [text for text, _ in problems] == [override]
    assert words in problems[0][1]
    assert after == {"a": 9, "l": [1, 2], "e": []}, "the others are still applied"


def test_an_equals_sign_may_stand_in_the_value():
    assert parse_override("a='x=y'") == (["a"], "x=y")


def test_sources_follow_overrides():
    sources = Sources("x.yaml", {("a",): 1, ("a", "b"): 2, ("c",): 3})
    apply_overrides({"a": {"b": 1}, "c": 2}, ["a={b: 3}", "c=1", "c=2"], sources)
    assert sources.override_of(("a", "b")) == "a={b: 3}"
    assert sources.override_of(("c",)) == "c=2"
    assert sources.line_of(("a", "b")) == 1, "lines of what was replaced are forgotten"


def test_an_override_inside_a_block_leaves_the_rest_to_the_file():
    sources = Sources("x.yaml", {("a",): 1, ("a", "b"): 2, ("a", "c"): 3})
    apply_overrides({"a": {"b": 1, "c": 1}}, ["a.b=2"], sources)
    assert sources.override_of(("a", "c")) is None
    assert sources.line_of(("a", "c")) == 3


def test_parse_override_raises():
    with pytest.raises(UserError):
        parse_override("rounds")
