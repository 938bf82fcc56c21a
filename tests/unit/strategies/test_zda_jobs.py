"""The server's training on images, on a model with dropout."""

from types import SimpleNamespace

import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.clients.weights import load_arrays, snapshot
from fedzda.strategies.zda_jobs import Refinement, refine


def network():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2))


def refined(round_):
    """Trained on one image, so that dropout alone makes rounds differ."""
    torch.manual_seed(0)  # as workers do before every job
    made = network()

    def model_with(arrays):
        load_arrays(made, arrays)
        return made

    image = ImageSpec((1, 2, 2), 2, (0.0,), (1.0,))
    job = Refinement(
        arrays=snapshot(made),
        images=torch.ones(1, 1, 2, 2),
        targets=torch.zeros(1, dtype=torch.long),
        steps=3,
        lr=0.1,
        batch_size=4,
        frozen_batchnorm=True,
        last_layer=False,
        key=(0, "zdas-refine", round_),
    )
    return refine(SimpleNamespace(image=image, model_with=model_with), job)[0]["2.weight"]


def test_dropout_differs_from_round_to_round():
    assert torch.equal(refined(1), refined(1))
    assert not torch.equal(refined(1), refined(2))
