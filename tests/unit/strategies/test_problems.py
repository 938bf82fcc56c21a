"""What strategies refuse before a run starts: rules between their keys and other blocks."""

import pytest
from torch import nn

from fedzda.base import UserError
from fedzda.platform.catalog import CATALOG, Entry
from fedzda.platform.cli.fast import fast_overrides
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.overrides import Sources, apply_overrides
from fedzda.strategies.config.drift import MoonConfig
from fedzda.strategies.moon import Moon

RAW = {"name": "problems", "data": {"name": "digits", "clients": 10}, "model": {"name": "mlp"}}
SCENARIO = {"name": "class-incremental", "base_classes": 4, "classes_per_phase": 3}


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ({"name": "flwr-bulyan", "num_malicious_nodes": 2}, "here 11, and there are 10"),
        ({"name": "flwr-bulyan", "clients_per_round": 2}, "here 3, and there are 2"),
        (
            {"name": "flwr-multi-krum", "clients_per_round": 4, "num_nodes_to_select": 5},
            "should be at most the clients of a round, which are 4",
        ),
        (
            {"name": "fed-zdas", "clients_per_round": 4, "server_images": 16},
            "which are 32 from 4 clients",
        ),
        ({"name": "fed-zda", "server_batch_size": 1000}, "which are 512 from 10 clients"),
        ({"name": "local-only", "sampling": "power-of-choice"}, "'local-only' has none that could"),
        ({"name": "fed-bn", "sampling": "power-of-choice"}, "'fed-bn' has none that could"),
    ],
)
def test_keys_that_make_no_sense(strategy, sentence):
    with pytest.raises(UserError, match=sentence):
        from_dict({**RAW, "strategy": strategy})


@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "flwr-bulyan", "num_malicious_nodes": 1},
        {"name": "flwr-multi-krum", "num_nodes_to_select": 5},
        {"name": "fed-zdas", "server_images": 16},
        {"name": "fed-zda", "server_images": 16},
    ],
)
def test_what_is_allowed_is_allowed_with_fast(strategy):
    raw = {**RAW, "strategy": strategy}
    changed, problems = apply_overrides(raw, fast_overrides(from_dict(raw)), Sources("x"))
    assert from_dict(changed)
    assert problems == []


FOR_CLASSIFIERS = [
    *("fed-zdac", "fed-zdas", "fed-zda", "placebo", "oracle", "fed-cog", "fed-gen", "moon"),
    "ensemble-distillation",
]


@pytest.mark.parametrize("name", FOR_CLASSIFIERS)
@pytest.mark.parametrize("task", ["segmentation", "diffusion"])
def test_methods_for_classifiers(name, task):
    with pytest.raises(UserError, match=f"classif.*'task.name' is '{task}'|images.*'{task}'"):
        from_dict({**RAW, "strategy": {"name": name}, "task": {"name": task}})


@pytest.mark.parametrize("strategy", ["fed-avg", "flwr-fed-avg"])
@pytest.mark.parametrize("privacy", ["local", "client-adaptive"])
def test_privacy_knows_no_phases(strategy, privacy):
    raw = {**RAW, "strategy": {"name": strategy}, "scenario": SCENARIO}
    assert from_dict(raw)
    with pytest.raises(UserError, match="'scenario' cannot be combined with 'privacy'"):
        from_dict({**raw, "privacy": {"name": privacy}})


def test_moon_needs_a_linear_layer():
    Moon(MoonConfig()).check(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    with pytest.raises(UserError, match="the model has none"):
        Moon(MoonConfig()).check(nn.Conv2d(1, 2, 3))


FOCAL = """
from typing import Literal

from fedzda.clients.tasks.classification import Classification
from fedzda.clients.tasks.config import ClassificationConfig


class FocalConfig(ClassificationConfig):
    name: Literal["focal"] = "focal"


class Focal(Classification):
    Config = FocalConfig
"""


@pytest.mark.parametrize("name", FOR_CLASSIFIERS)
def test_tasks_of_plug_ins_are_taken_on_trust(name, tmp_path, monkeypatch):
    (tmp_path / "focal_of_a_plug_in.py").write_text(FOCAL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(CATALOG["tasks"], "focal", Entry("focal_of_a_plug_in:Focal", "a plug-in"))
    config = from_dict({**RAW, "strategy": {"name": name}, "task": {"name": "focal"}})
    assert config.task.name == "focal"
    groups = {"groups": {"by": "majority-label"}}
    from_dict(
        {**RAW, "strategy": {"name": "fed-avg"}, "task": {"name": "focal"}, "evaluate": groups}
    )
    with pytest.raises(UserError, match=r"'evaluate\.groups' compares the recognition of classes"):
        from_dict({**RAW, "strategy": {"name": "fed-avg"}, "task": {"name": "diffusion"},
                   "evaluate": groups})  # fmt: skip
