"""What a scenario and the rest of a configuration ask of each other, before anything is loaded."""

import subprocess
import sys

import pytest

from fedzda.base import UserError
from fedzda.platform.config.load import from_dict

OFF = {"enabled": False}
ALONE = {"dfgr": OFF, "dtid": OFF}


def raw(strategy, scenario=None, **changes):
    own = {"base_classes": 4, "classes_per_phase": 2, "head": "cosine", "rounds_per_phase": 3}
    return {
        "name": "x",
        "rounds": 3,
        "data": {"name": "digits", "clients": 4},
        "model": {"name": "lenet-bn"},
        "scenario": {"name": "class-incremental", **own, **(scenario or {})},
        "strategy": {"name": "fed-dfgr", **strategy},
        **changes,
    }


WRONG = [
    ({}, {"head": "linear"}, "'strategy.base' is 'lucir', which compares cosines"),
    (
        {"dtid": {"teacher_rounds": 3}},
        {},
        "'strategy.dtid.teacher_rounds' should be below scenario.rounds_per_phase, which is 3",
    ),
    ({"base": "icarl", **ALONE}, {}, "'strategy.base' is 'icarl', which learns from exemplars"),
    ({"base": "abd-like", **ALONE}, {}, "'strategy.base' is 'abd-like', which learns old classes"),
    ({"base": "joint"}, {}, "'strategy.base' is 'joint', the upper bound"),
    ({"base": "joint", **ALONE}, {"exemplars_per_class": 2}, "'joint', the upper bound"),
    (
        {"base": "lwf", "dfgr": {"enabled": False, "bn_refresh": "replay"}},
        {},
        "'strategy.dfgr.bn_refresh' is 'replay', and strategy.dfgr.enabled is false",
    ),
    (
        {},
        {"exemplars_per_class": 2, "exemplars_total": 50},
        "'scenario.exemplars_total' stands for 'scenario.exemplars_per_class', which is 2",
    ),
    (
        {"name": "fed-avg"},
        {"exemplars_per_class": 2},
        "'scenario' asks clients to keep exemplars, and strategy 'fed-avg' does not use any",
    ),
    ({"name": "fed-zdac"}, {}, "'strategy.name' is 'fed-zdac', which fills up classes that have"),
    ({"name": "oracle"}, {}, "'strategy.name' is 'oracle', which fills up classes that have not"),
    ({"name": "centralised"}, {}, "which trains on the data of all phases at once"),
    ({"name": "equal-steps"}, {}, "which counts the steps of fed-zdac"),
    ({"name": "flwr-krum"}, {}, "which counts on an update of every client it asks"),
]


@pytest.mark.parametrize(("strategy", "scenario", "words"), WRONG)
def test_what_does_not_go_together(strategy, scenario, words):
    with pytest.raises(UserError, match=words) as caught:
        from_dict(raw(strategy, scenario))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].count(". ") >= 1  # a way out follows


def test_every_broken_rule_is_told_at_once():
    with pytest.raises(UserError) as caught:
        from_dict(raw({"dtid": {"teacher_rounds": 9}}, {"head": "linear"}))
    assert len(caught.value.problems) == 2


def test_a_scenario_is_about_classes():
    with pytest.raises(UserError, match=r"'task\.name' is 'segmentation'"):
        from_dict(raw({"name": "fed-avg"}, task={"name": "segmentation"}))


@pytest.mark.parametrize(
    ("strategy", "scenario"),
    [
        ({"name": "fed-avg"}, {}),
        ({"name": "fed-avg"}, {"head": "linear"}),
        ({"base": "icarl", **ALONE}, {"exemplars_total": 20, "head": "linear"}),
        ({"base": "joint", **ALONE}, {}),
        ({"base": "fine-tune", **ALONE}, {"exemplars_per_class": 20}),
        ({"dtid": {"enabled": False, "teacher_rounds": 9}}, {}),
        ({"target": "my_strategies:Mine"}, {}),
    ],
)
def test_what_does(strategy, scenario):
    block = raw(strategy, scenario)
    if "target" in strategy:
        block["strategy"] = strategy
    from_dict(block)


def test_none_of_this_waits_for_torch():
    """``fedzda validate`` is to say it at once."""
    code = (
        "import sys\n"
        "from fedzda.platform.config.load import load_config\n"
        "load_config('fed-dfgr-digits')\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
