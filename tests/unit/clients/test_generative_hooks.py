"""The client halves of FedGen and FedCOG, on real runs of one client."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from fedzda.clients.hooks.base import LocalRun
from fedzda.clients.hooks.fed_cog import ComplementaryImages
from fedzda.clients.hooks.fed_gen import FeatureReplay
from fedzda.generators.feature_generator import FeatureGenerator

from .one_client import call, make_runtime

COG = {
    "active": True,
    "fill": "to_max",
    "cap": 1.0,
    "temperature": 1.0,
    "synthesizer": {"name": "image-distillation", "preset": "fedcog", "steps": 20},
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return make_runtime(tmp_path_factory.mktemp("data"))


def generator_of(runtime, **options):
    torch.manual_seed(1)
    width = runtime.model.classifier.in_features
    made = FeatureGenerator(10, width, 4, 16)
    told = {"alpha": 2.0, "decay": 0.5, "z_size": 4, "hidden": 16, "chances": [0.1] * 10}
    request = call(runtime, round_=3, **{"fed-gen": json.dumps(told | options)})
    request.content.arrays["feature-generator"] = {
        k: v.detach().numpy() for k, v in made.state_dict().items()
    }
    return made.eval(), request


def test_fed_gen_adds_the_loss_of_generated_features(runtime):
    chances = [0.0] * 10
    chances[7] = 1.0
    made, request = generator_of(runtime, chances=chances)
    rows = runtime.federation.indices(0, "train")
    run = LocalRun(runtime, request, runtime.model, runtime.batch(rows))
    hook = FeatureReplay()
    hook.start(run)
    batch = {name: value[:6] for name, value in run.data.items()}
    runtime.model.zero_grad()
    whole = hook.loss(run, batch, torch.tensor(1.0))
    z = made.noise(6, hook_rng(runtime))
    labels = torch.full((6,), 7)
    expected = functional.cross_entropy(runtime.model.classifier(made(z, labels)), labels)
    expected = 1.0 + 2.0 * 0.25 * float(expected.detach())
    assert float(whole.detach()) == pytest.approx(expected, rel=1e-5)
    whole.backward()
    moved = {name for name, p in runtime.model.named_parameters() if p.grad is not None}
    assert moved == {"classifier.weight", "classifier.bias"}


def hook_rng(runtime):
    """The stream of the hook after its labels were drawn."""
    from fedzda.base import torch_rng

    rng = torch_rng(runtime.seed, "feature-replay", 3, 0)
    chances = torch.zeros(10, dtype=torch.float64)
    chances[7] = 1.0
    torch.multinomial(chances, 6, True, generator=rng)
    return rng


def test_fed_gen_reports_its_loss(runtime):
    _, request = generator_of(runtime)
    reply = runtime.train(request)
    assert reply.content.metrics["metrics"]["replay-loss"] > 0


def start_cog(runtime, state=None, **options):
    request = call(runtime, round_=2, state=state, **{"fed-cog": json.dumps(COG | options)})
    rows = runtime.federation.indices(0, "train")
    runtime.model.load_state_dict(
        {k: torch.tensor(v) for k, v in request.content.arrays["arrays"].items()}
    )
    run = LocalRun(runtime, request, runtime.model, runtime.batch(rows))
    hook = ComplementaryImages()
    hook.start(run)
    return run, hook


def test_fed_cog_makes_images_of_the_missing_classes(runtime):
    run, hook = start_cog(runtime)
    counts = runtime.federation.label_counts("train")[0]
    limit = -(-int(counts.sum()) // 10)
    need = np.minimum(counts.max() - counts, limit)
    assert len(hook.images) == run.metrics["synthetic"] == need.sum()
    with torch.no_grad():
        expected = run.model.eval()(hook.images)
    torch.testing.assert_close(hook.targets, expected)


def test_fed_cog_mixes_both_losses_by_their_numbers(runtime):
    run, hook = start_cog(runtime)
    run.model.eval()  # the received model still: nothing to distil
    batch = {name: value[:4] for name, value in run.data.items()}
    real, made = len(run.data["label"]), len(hook.images)
    found = hook.loss(run, batch, torch.tensor(3.0))
    assert float(found.detach()) == pytest.approx(3.0 * real / (real + made), abs=1e-4)
    with torch.no_grad():
        run.model.classifier.bias[0] += 5.0
    assert float(hook.loss(run, batch, torch.tensor(3.0)).detach()) > float(found.detach()) + 0.01


def test_fed_cog_sets_itself_against_the_clients_last_model(runtime):
    first = runtime.train(call(runtime, **{"fed-cog": json.dumps(COG | {"active": False})}))
    assert "previous" in first.state.arrays
    _, alone = start_cog(runtime)
    _, against = start_cog(runtime, first.state)
    assert not torch.equal(alone.images, against.images)


def test_fed_cog_only_remembers_before_its_start(runtime):
    plainly = runtime.train(call(runtime))
    waiting = runtime.train(call(runtime, **{"fed-cog": json.dumps(COG | {"active": False})}))
    for name, value in plainly.content.arrays["arrays"].items():
        assert np.array_equal(value, waiting.content.arrays["arrays"][name]), name
        assert np.array_equal(value, waiting.state.arrays["previous"][name]), name
