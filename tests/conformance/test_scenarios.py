"""Every strategy in a class-incremental scenario: it copes with clients that have nothing to train
on in a phase, or is refused before the run starts."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform import checkpoint
from fedzda.platform.catalog import CATALOG
from fedzda.platform.simulation import Simulation

from . import played, tiny

REFUSED = {
    *("centralised", "equal-steps", "fed-cog", "fed-zda", "fed-zdac", "fed-zdas", "oracle"),
    *("placebo", "flwr-bulyan", "flwr-krum", "flwr-multi-krum", "ensemble-distillation"),
}
OFF = {"enabled": False}
OWN = {"fed-dfgr": {"name": "fed-dfgr", "base": "fine-tune", "dfgr": OFF, "dtid": OFF}}
BLOCKS = {
    "data": {
        "name": "digits",
        "clients": 6,
        "max_samples": 240,
        "partition": {"name": "pathological", "classes_per_client": 2},
        "test_fraction": 0.25,
    },
    "scenario": {"name": "class-incremental", "base_classes": 4, "classes_per_phase": 3},
}
"""Two classes per client, and three phases of four, three and three classes."""


@pytest.mark.parametrize("name", sorted(set(CATALOG["strategies"]) - REFUSED))
def test_clients_without_samples_of_a_phase_sit_it_out(name, tmp_path):
    blocks = {**BLOCKS, **({"strategy": OWN[name]} if name in OWN else {})}
    simulation = Simulation.build(tiny.config(tmp_path, name, **blocks))
    before = {k: v.numpy().copy() for k, v in simulation.model.state_dict().items()}
    run = simulation.run()
    end = checkpoint.load_latest(run.path / "checkpoints")
    moved = [not np.array_equal(end.arrays[k], v) for k, v in before.items()]
    assert any(moved) or name == "local-only"
    assert all(np.isfinite(value).all() for value in end.arrays.values())
    trained = run.clients[(run.clients.phase == "train") & (run.clients.metric == "loss")]
    assert (trained.num_examples == 0).any()
    assert trained.value.max() < 20  # nobody trained on a class that has not come yet


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_the_others_are_refused(name, tmp_path):
    with pytest.raises(UserError, match="or leave scenario out"):
        tiny.config(tmp_path, name, **BLOCKS)


def test_a_round_in_which_nobody_has_samples_changes_no_personal_model(tmp_path):
    strategy = {"name": "local-only", "clients_per_round": 1}
    data = {**BLOCKS["data"], "partition": {"name": "pathological", "classes_per_client": 1}}
    data["clients"] = 10
    scenario = {**BLOCKS["scenario"], "base_rounds": 2, "rounds_per_phase": 2}
    found = played.run(tmp_path, data=data, scenario=scenario, strategy=strategy, rounds=6)
    trained = found.clients[(found.clients.phase == "train") & (found.clients.metric == "loss")]
    assert (trained.num_examples == 0).any()
    assert not trained.bytes_up.any()
    assert set(played.kept(found).clients) == set(trained[trained.num_examples > 0].client)
