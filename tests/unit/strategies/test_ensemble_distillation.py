"""When the server distils, and what a lesson changes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fedzda.base import ImageSpec
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.variants.architecture import with_architectures
from fedzda.clients.variants.architecture_config import ArchitectureConfig
from fedzda.clients.weights import snapshot
from fedzda.platform.devices.architectures import own_arrays
from fedzda.strategies.config.ensemble import EnsembleDistillationConfig
from fedzda.strategies.ensemble_jobs import Lesson, distil

DIGIT = ImageSpec((1, 8, 8), 10, (0.5,), (0.25,))
SMALL = ArchitectureConfig.model_validate({"model": {"name": "mlp", "hidden": [8]}})
TINY = {"warmup_steps": 1, "turns": 2, "batch_size": 8, "channels": 8}


def build_model():
    torch.manual_seed(0)
    return with_architectures(LeNetBN(1, 10, (8, 8), width=4), DIGIT, [SMALL])


def lesson(titles, state=None, **changes):
    arrays = snapshot(build_model())
    return Lesson(
        members=[(title, own_arrays(arrays, title)) for title in (None, "mlp")],
        counts_KC=np.ones((2, 10)),
        students=[(title, own_arrays(arrays, title)) for title in titles],
        config=EnsembleDistillationConfig.model_validate({**TINY, **changes}),
        key=(0, 5),
        state=state,
    )


def test_rounds_with_distillation():
    config = EnsembleDistillationConfig(start_round=4, every=3)
    assert [r for r in range(1, 12) if config.distils_in(r)] == [4, 7, 10]
    assert config.needs_counts
    assert not EnsembleDistillationConfig(labels="balanced", ensemble="uniform").needs_counts


@pytest.mark.parametrize("titles", [[None, "mlp"], ["mlp"]])
def test_a_lesson_changes_its_students_alone(titles):
    handler = SimpleNamespace(image=DIGIT, build_model=build_model)
    before = snapshot(build_model())
    learned = distil(handler, lesson(titles))
    own = {
        name for title in titles for name in before if name.startswith("arch") == (title == "mlp")
    }
    assert set(learned.arrays) == own
    changed = {n for n, value in learned.arrays.items() if not np.array_equal(value, before[n])}
    frozen = {n for n in own if n.rpartition(".")[2].startswith(("running", "num_batches"))}
    assert changed == own - frozen
    again = distil(handler, lesson(titles))
    assert all(torch.equal(value, again.arrays[name]) for name, value in learned.arrays.items())
    further = distil(handler, lesson(titles, state=learned.generator))
    assert any(not torch.equal(v, further.generator[n]) for n, v in learned.generator.items())


def test_what_dropout_draws_depends_on_the_round():
    handler = SimpleNamespace(image=DIGIT, build_model=build_model)
    seeds = []
    for round_ in (5, 6, 5):
        distil(handler, replace(lesson([None]), key=(0, round_)))
        seeds.append(torch.initial_seed())
    assert seeds[0] == seeds[2] != seeds[1]
