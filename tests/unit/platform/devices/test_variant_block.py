"""Forms of the model that users write themselves, and what a run says about forms beforehand."""

import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.devices.figures import classes_by_device
from fedzda.platform.devices.plans import form_plans, mean_traffic, trainers
from fedzda.platform.devices.variant_block import variant_class, variant_config
from fedzda.platform.simulation import Simulation

FORM = '''
from typing import Literal

import torch
from pydantic import Field

from fedzda.clients.variants.full import Form
from fedzda.platform.config import VariantConfig


class CoarseConfig(VariantConfig):
    name: Literal["coarse"] = "coarse"
    levels: int = Field(default=16, ge=2)

    @property
    def plain_training(self):
        return False


class Coarse(Form):
    """Weights on a few levels, from the first step on."""

    Config = CoarseConfig

    def build(self, model, turn):
        made = super().build(model, turn)
        with torch.no_grad():
            for weight in made.parameters():
                step = weight.abs().max() / self.config.levels
                weight.copy_((weight / step).round() * step)
        return made


class NoConfig(Form):
    Config = None
'''
SLOW = {"name": "slow", "compute": 1.0e7, "memory": 1.0e9, "uplink": 1.0e6, "downlink": 1.0e6}


@pytest.fixture(autouse=True)
def own_forms(tmp_path, monkeypatch):
    (tmp_path / "own_forms.py").write_text(FORM)
    monkeypatch.syspath_prepend(tmp_path)


def raw(tmp_path, variant, other="full", **changes):
    devices = [
        {"profile": SLOW, "share": 0.5, "variant": variant},
        {"profile": "phone-high", "share": 0.5, "variant": other},
    ]
    return {
        "name": "own",
        "rounds": 1,
        "data": {"name": "digits", "clients": 4, "max_samples": 80, "test_fraction": 0.25},
        "model": {"name": "mlp", "hidden": [8, 8]},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "output": str(tmp_path / "runs"),
        "report": False,
        "devices": devices,
        **changes,
    }


def test_a_form_of_the_users_own_runs(tmp_path):
    block = {"target": "own_forms:Coarse", "args": {"levels": 4}}
    config = from_dict(raw(tmp_path, block))
    form = config.devices.profiles[0].variant
    assert (form.title, form.levels, form.plain_training) == ("coarse", 4, False)
    assert variant_class(form).__name__ == "Coarse"
    again = from_dict(plain(config))
    assert plain(again) == plain(config)
    found = Simulation.build(again, folder=tmp_path).run()
    assert found.summary["by_variant"]["coarse"]["accuracy"]["n"] == 2


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"target": "own_forms:Coarse", "args": {"levels": 1}}, "'levels' should be greater than"),
        ({"target": "own_forms:Coarse", "args": {"lvels": 2}}, "Did you mean 'levels'"),
        ({"target": "own_forms:Coarse", "args": [1]}, r"'args' should be a mapping \(got \[1\]\)"),
        ({"target": "own_forms:NoConfig"}, "has no Config that derives from"),
        ({"target": "own_forms:Rough"}, "module 'own_forms' has no 'Rough'"),
        ({"target": "nowhere:Coarse"}, "cannot be imported"),
        ({"target": "Coarse"}, "must have the form package.module:Name"),
        ({"target": 3}, "a name or a block with a 'name' or a 'target'"),
    ],
)
def test_one_that_cannot_be_used_is_refused(block, sentence):
    with pytest.raises(ValueError, match=sentence):
        variant_config(block)


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"name": "frdiff", "interval": 2}, "'frdiff', which samples from a diffusion model"),
        ("tdq", "'task.name' is 'classification'. Set task.name to 'diffusion'"),
        ({"name": "ddim"}, "variant 'ddim': missing key 'steps'"),
    ],
)
def test_ways_to_sample_belong_to_diffusion_models(block, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        from_dict(raw(tmp_path, block))


@pytest.mark.parametrize(
    ("variant", "sentence"),
    [
        ("int8", "Set the variant to 'tdq', 'frdiff', 'ddim' or 'full'"),
        ("quantized", "'diffusion', whose model also takes time steps"),
        ({"name": "frdiff", "num_inference_steps": 7}, "is 7, but the device takes 20 steps"),
        ({"name": "frdiff", "keyframes": [0, 25]}, "end at step 25, and the device takes 20"),
    ],
)
def test_diffusion_models_have_forms_of_their_own(variant, sentence, tmp_path):
    task = {"name": "diffusion", "sampling_steps": 20}
    model = {"name": "diffusion-unet", "widths": [8, 16], "layers": 1}
    with pytest.raises(UserError, match=sentence):
        from_dict(raw(tmp_path, variant, task=task, model=model))


def test_a_plan_counts_every_form(tmp_path):
    """By hand: half the clients train half of the channels, the others do not train."""
    config = from_dict(raw(tmp_path, {"name": "width", "ratio": 0.5}, "excluded"))
    simulation = Simulation.build(config, folder=tmp_path)
    narrow, full = form_plans(simulation.fleet)
    assert (narrow.device, narrow.variant, narrow.clients, narrow.trains) == (
        "slow",
        "width-0.5",
        2,
        True,
    )
    assert (full.variant, full.clients, full.trains) == ("excluded", 2, False)
    assert narrow.macs == 64 * 4 + 4 * 4 + 4 * 10
    assert full.macs == 64 * 8 + 8 * 8 + 8 * 10
    assert list(trainers(simulation.fleet, 4)) == [
        client for client in range(4) if simulation.fleet.name(client) == "slow"
    ]
    assert mean_traffic(simulation.fleet, 10**6, 10**6, None) == (narrow.bytes, narrow.bytes)
    plan = simulation.plan()
    assert plan["cohort"] == 2
    assert plan["bytes_up_per_round"] == 2 * narrow.bytes
    assert mean_traffic(None, 7, 5, None) == (7, 5)
    assert form_plans(None) == []


def test_classes_by_device_are_means_over_clients_that_have_them(tmp_path):
    fleet = Simulation.build(from_dict(raw(tmp_path, "excluded")), folder=tmp_path).fleet
    rows = [
        (1, "iou/0", 0.1, "slow"),  # not the last evaluation
        (2, "iou/0", 0.2, "slow"),
        (2, "iou/0", 0.4, "slow"),
        (2, "iou/1", float("nan"), "slow"),
        (2, "iou/1", 0.9, "phone-high"),
        (2, "miou", 0.5, "slow"),
    ]
    table = pd.DataFrame(rows, columns=["round", "metric", "value", "device"])
    table = table.assign(phase="evaluate", split="test", stage="global")
    found = classes_by_device(table, fleet, "global")
    assert found["slow"] == {"iou": {"0": pytest.approx(0.3)}}
    assert found["phone-high"] == {"iou": {"1": 0.9}}
    assert classes_by_device(table, None, "global") == {}
