"""Which form ``auto`` takes, against bytes and seconds by hand."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.clients.variants.config import AutoConfig
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.schema import config_schema
from fedzda.platform.devices.forms import with_forms
from fedzda.platform.devices.plans import form_plans, mean_traffic
from fedzda.platform.simulation import Simulation

WEIGHTS = 64 * 8 + 8 * 8 + 8 * 10
FULL = 4 * (WEIGHTS + 8 + 8 + 10)
"""Bytes of an MLP with two hidden layers of 8 on 8 x 8 pixels and ten classes."""
NARROW = 4 * (64 * 4 + 4 * 4 + 4 * 10 + 4 + 4 + 10)
INT8 = FULL - 3 * WEIGHTS
HALF = {"name": "width", "ratio": 0.5}
TESTED = {"name": "int8", "train": False}
THREE = {"name": "auto", "forms": ["full", HALF, TESTED]}
FORM = """
from typing import Literal

from fedzda.clients.variants.full import Form
from fedzda.platform.config import VariantConfig


class AlikeConfig(VariantConfig):
    name: Literal["alike"] = "alike"
    level: int = 1

    @property
    def title(self):
        return f"alike-{self.level}"


class Alike(Form):
    Config = AlikeConfig


class ChoiceConfig(AlikeConfig):
    name: Literal["choice"] = "choice"

    def candidates(self):
        return [AlikeConfig()]


class Choice(Form):
    Config = ChoiceConfig
"""


def slow(memory, compute=1.0e7):
    return {
        "name": "slow",
        "compute": compute,
        "memory": float(memory),
        "uplink": 1.0e6,
        "downlink": 2.0e6,
    }


def config(variant, memory=1e9, compute=1.0e7, deadline=None, other="full", **changes):
    return from_dict(
        {
            "name": "forms",
            "rounds": 1,
            "data": {"name": "digits", "clients": 4, "max_samples": 80, "test_fraction": 0.25},
            "model": {"name": "mlp", "hidden": [8, 8]},
            "strategy": {"name": "fed-avg"},
            "engine": {"name": "inline"},
            "devices": {
                "name": "profiles",
                "deadline": deadline,
                "profiles": [
                    {"profile": slow(memory, compute), "share": 0.5, "variant": variant},
                    {"profile": "phone-high", "share": 0.5, "variant": other},
                ],
            },
            **changes,
        }
    )


def taken(*args, **kwargs):
    """Title of the form that the slow devices get."""
    return Simulation.build(config(*args, **kwargs)).fleet.forms[0].title


@pytest.mark.parametrize(
    ("memory", "title"),
    [
        (2 * FULL, "full"),
        (2 * FULL - 1, "width-0.5"),
        (2 * NARROW, "width-0.5"),
        (2 * NARROW - 1, "int8"),
        (INT8, "int8"),
        (INT8 - 1, "excluded"),
    ],
)
def test_the_first_that_fits_the_memory_is_taken(memory, title):
    """Training holds weights and gradients, a test the weights alone."""
    assert taken(THREE, memory) == title


def test_the_list_s_order_is_that_of_the_choice():
    assert taken({"name": "auto", "forms": [TESTED, "full"]}) == "int8"
    assert taken({"name": "auto", "forms": [HALF, "full"]}) == "width-0.5"
    assert taken({"name": "auto", "forms": ["excluded", "full"]}) == "excluded"
    assert taken({"name": "auto", "forms": ["full", "excluded"]}, 1) == "excluded"


def seconds(simulation, size, macs):
    """A round by hand: a megabit up, two down, and a training step as three forward passes."""
    transfer = 8 * size / 1e6 + 8 * size / 2e6
    return transfer + 3 * macs * np.median(simulation.federation.sizes("train")) / 1e4


@pytest.mark.parametrize("trained", ["full", "int8"])
def test_a_deadline_is_for_those_that_train(trained):
    """An int8 form that trains sends floats; one that is tested only is never late."""
    forms = {"name": "auto", "forms": [trained, HALF, TESTED]}
    simulation = Simulation.build(config(forms))
    whole = seconds(simulation, FULL, WEIGHTS)
    narrow = seconds(simulation, NARROW, 64 * 4 + 4 * 4 + 4 * 10)
    assert narrow < 0.6 * whole
    for deadline, title in [
        (1.001 * whole, trained),
        (0.999 * whole, "width-0.5"),
        (1.001 * narrow, "width-0.5"),
    ]:
        assert taken(forms, compute=1e4, deadline=deadline) == title
    late = Simulation.build(config(forms, compute=1e4, deadline=0.999 * narrow)).fleet.forms[0]
    assert (late.title, late.config.trains) == ("int8", False)


def test_uplink_compression_counts():
    """Half precision halves the way up."""
    forms = {"name": "auto", "forms": ["full", TESTED]}
    sec = seconds(Simulation.build(config(forms)), FULL, WEIGHTS)
    assert taken(forms, compute=1e4, deadline=0.999 * sec) == "int8"
    up = {"name": "fp16"}
    assert taken(forms, compute=1e4, deadline=0.999 * sec, uplink=up) == "full"
    saved = 4 * FULL / 1e6
    assert taken(forms, compute=1e4, deadline=1.001 * (sec - saved), uplink=up) == "full"
    assert taken(forms, compute=1e4, deadline=0.999 * (sec - saved), uplink=up) == "int8"


def test_what_is_taken_can_be_said(tmp_path):
    """Then memory is not asked, and what cannot be run is refused as if written by hand."""
    assert taken({**THREE, "take": 1}) == "width-0.5"
    assert taken({**THREE, "take": -1}) == "excluded"
    assert taken({"name": "auto", "take": 2}) == "width-0.25"
    with pytest.raises(UserError, match=r"its variant 'width-0\.5' takes"):
        Simulation.build(config({**THREE, "take": 1}, INT8, output=str(tmp_path))).run()


def test_nobody_fits(caplog):
    with pytest.raises(UserError, match="or add smaller ones to 'ladder' or 'forms'"):
        taken(THREE, INT8, other=TESTED)
    trained = {"name": "auto", "forms": ["full", HALF]}
    assert taken(trained, 2 * NARROW - 1) == "excluded"
    told = f"the last one, width-0.5, needs {2 * NARROW:,} bytes and"
    assert told in caplog.text
    taken(THREE, INT8 - 1)
    assert f"the last one, int8, needs {INT8:,} bytes; the profile has" in caplog.text


def test_workers_get_what_was_chosen_and_plans_tell_it():
    simulation = Simulation.build(config(THREE, 2 * NARROW))
    told = plain(with_forms(simulation.config, simulation.fleet.forms))
    by_hand = plain(config(HALF, 2 * NARROW))
    assert told == by_hand
    (plan, _) = form_plans(simulation.fleet)
    assert (plan.device, plan.variant, plan.bytes, plan.trains) == (
        "slow",
        "width-0.5",
        NARROW,
        True,
    )


def test_forms_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "alike_forms.py").write_text(FORM)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"target": "alike_forms:Alike", "args": {"level": 3}}
    made = config({"name": "auto", "forms": [own, HALF]})
    assert plain(from_dict(plain(made))) == plain(made)
    assert Simulation.build(from_dict(plain(made))).fleet.forms[0].title == "alike-3"
    with pytest.raises(UserError, match="'choice' is a choice itself"):
        config({"name": "auto", "forms": [{"target": "alike_forms:Choice"}]})
    with pytest.raises(UserError, match="Did you mean 'level'"):
        config({"name": "auto", "forms": [{**own, "args": {"levl": 3}}]})


WRONG = [
    ({"forms": []}, "'forms' should be a list of at least 1 items"),
    ({"forms": ["auto"]}, "'forms': 'auto' is a choice itself"),
    ({"forms": [THREE]}, "'forms': 'auto' is a choice itself"),
    ({"forms": ["full"], "ladder": [1.0]}, "'forms' and 'ladder' both say"),
    ({"ladder": None}, "nothing to choose from"),
    ({"forms": ["full", "haf"]}, "no variants named 'haf'"),
    ({"forms": ["full", {"name": "width", "ratio": 2}]}, "less than or equal to 1"),
    ({"forms": ["full", {"ratio": 0.5}]}, "a name or a block with a 'name'"),
    ({"forms": "full"}, "'forms' should be a"),
    ({"forms": ["full", HALF], "scale": False}, "'scale' is of the rungs of a ladder"),
    ({"forms": ["full", HALF], "take": 2}, "'take' counts the 2 forms from 0 .got 2"),
    ({"take": -2}, "'take' should be greater than or equal to -1"),
]


@pytest.mark.parametrize(("keys", "words"), WRONG, ids=[words for _, words in WRONG])
def test_lists_that_make_no_sense(keys, words):
    with pytest.raises(UserError, match=words):
        config({"name": "auto", **keys})


DIFFUSION = {
    "task": {"name": "diffusion", "sampling_steps": 20},
    "model": {"name": "diffusion-unet", "widths": [8, 16], "layers": 1},
}
RULES = [
    (HALF, {"strategy": {"name": "scaffold"}}, "may choose 'width', and strategy 'scaffold' does"),
    (
        {**HALF, "method": "fedrolex"},
        {"uplink": {"name": "top-k"}},
        "error_feedback' keeps what was not sent",
    ),
    ({"name": "frdiff"}, {}, "'frdiff', which samples from a diffusion model"),
    (TESTED, DIFFUSION, "Set the variant to 'tdq', 'frdiff', 'ddim' or 'full'"),
    ({"name": "depth"}, {}, "may choose 'depth', and other devices train 'full'"),
    ({"name": "architecture", "model": {"name": "mlp", "hidden": [4]}}, {}, "and others 'full'"),
]


@pytest.mark.parametrize(("form", "changes", "words"), RULES, ids=[words for *_, words in RULES])
def test_what_is_refused_by_hand_is_refused_in_a_list(form, changes, words):
    with pytest.raises(UserError, match=words):
        config({"name": "auto", "forms": ["full", form]}, **changes)


def test_a_scenario_goes_with_what_it_goes_with_by_hand():
    scenario = {"name": "class-incremental", "base_classes": 4, "classes_per_phase": 3}
    with pytest.raises(UserError, match="may choose 'int8', and a 'scenario' changes the head"):
        config({"name": "auto", "forms": ["full", TESTED]}, scenario=scenario)

    config({"name": "auto", "ladder": [1.0]}, scenario=scenario)
    config({"name": "auto", "forms": ["full", "excluded"]}, scenario=scenario)


def test_forms_of_one_list_must_go_together():
    """Whichever is chosen, all devices that train must train a depth."""
    depth = {"name": "depth"}
    with pytest.raises(UserError, match="may choose 'depth', and devices may train 'full'"):
        config({"name": "auto", "forms": ["full", depth]}, other=depth)
    with pytest.raises(UserError, match="is 'depth', and devices may train 'width'"):
        config({"name": "auto", "forms": [HALF]}, other=depth)
    config({"name": "auto", "forms": [depth, TESTED]}, other=depth)


def test_a_problem_is_told_once():
    """A ladder's rungs all break the same rule."""
    with pytest.raises(UserError) as caught:
        config("auto", strategy={"name": "scaffold"})
    assert len(caught.value.problems) == 1
    assert "may choose 'width'" in str(caught.value)


def test_a_ladder_is_as_ever():
    block = AutoConfig()
    assert [form.title for form in block.candidates()] == [
        "full",
        "width-0.5",
        "width-0.25",
        "width-0.125",
    ]
    assert (block.ladder, block.forms, block.trains, block.plain_training) == (
        [1.0, 0.5, 0.25, 0.125],
        None,
        True,
        False,
    )


def test_a_model_that_has_no_such_form_is_refused_before_the_choice():
    """Even if another form would be taken."""
    lenet = {"model": {"name": "lenet-bn"}}
    forms = {"name": "auto", "forms": [{"name": "depth", "stages": 3}, {"name": "depth"}]}
    assert taken(forms, other={"name": "depth", "stages": 3}, **lenet) == "depth-3"
    more = {"name": "auto", "forms": [{"name": "depth", "stages": n} for n in (3, 9)]}
    with pytest.raises(UserError, match="has stages 9, and the model has 3"):
        taken(more, other={"name": "depth", "stages": 3}, **lenet)


def test_the_schema_takes_names_and_blocks():
    """As under ``variant`` itself, whose blocks editors do not look into."""
    found = next(
        block
        for block in config_schema()["definitions"].values()
        if "variant" in block.get("properties", {})
    )
    kinds = [own["type"] for own in found["properties"]["variant"]["anyOf"]]
    assert kinds == ["string", "object"]
    items = AutoConfig.model_json_schema()["properties"]["forms"]["anyOf"][0]["items"]
    assert [own["type"] for own in items["anyOf"]] == ["string", "object"]


def test_a_deadline_counts_the_samples_that_steps_really_see():
    """Batches are no larger than what a client holds."""
    local = {"steps": 10, "batch_size": 1000}
    sizes = Simulation.build(config("full")).federation.sizes("train")
    whole = seconds(Simulation.build(config("full")), FULL, 10 * WEIGHTS)
    assert max(sizes) < 1000
    assert taken(THREE, compute=1e4, deadline=1.001 * whole, local=local) == "full"
    assert taken(THREE, compute=1e4, deadline=0.999 * whole, local=local) == "width-0.5"


def test_a_run_in_which_nobody_trains(caplog):
    everybody = config(TESTED, other=TESTED, deadline=60.0, rounds=0)
    simulation = Simulation.build(everybody)
    assert mean_traffic(simulation.fleet, 10, 10, None) == (0.0, 0.0)
