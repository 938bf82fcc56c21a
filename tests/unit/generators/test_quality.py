import math

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError, torch_rng
from fedzda.generators import quality
from fedzda.generators.common import balanced_labels, frozen

IMAGE = ImageSpec((1, 1, 2), 2, (0.5,), (0.5,))


def test_agreement_normalises_and_uses_eval_mode():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(1.0)).train()  # logits are the two pixels
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]]).view(3, 1, 1, 2)
    assert quality.agreement(model, images, torch.tensor([0, 1, 1]), IMAGE) == pytest.approx(2 / 3)
    assert model.training
    assert quality.logits_of(model, images, IMAGE)[0].tolist() == [1.0, -1.0]


def test_within_class_distance_by_hand():
    # Class 0: a pair at distance 5. Class 1: distances 2, 0, 2. Class 2 has one image only.
    pixels = torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0], [1.0, 1.0], [1.0, 3.0], [9.0, 9.0]])
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    found = quality.within_class_distance(pixels.view(6, 1, 1, 2), labels)
    assert found == pytest.approx((5 + 4 / 3) / 2)
    assert math.isnan(quality.within_class_distance(pixels[:1].view(1, 1, 1, 2), labels[:1]))


def test_balanced_labels_are_even_mixed_and_random_in_what_is_left_over():
    labels = balanced_labels([2, 5, 7], 30, torch_rng(0, "labels"))
    assert torch.bincount(labels, minlength=8).tolist() == [0, 0, 10, 0, 0, 10, 0, 10]
    assert labels.tolist() != sorted(labels.tolist())
    extra = {balanced_labels([2, 5, 7], 1, torch_rng(s, "labels")).item() for s in range(30)}
    assert extra == {2, 5, 7}
    with pytest.raises(UserError, match="at least one class"):
        balanced_labels([], 4, torch_rng(0, "labels"))


def test_frozen_restores_after_an_error():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout()).train()
    model[1].eval()

    def fail():
        with frozen(model):
            assert not model.training
            assert not model[0].weight.requires_grad
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    assert model[0].weight.requires_grad


def test_compare_quality_puts_real_above_synthetic_above_noise(classifier, digits):
    pixels, labels, image = digits
    noise = torch.rand(300, 1, 8, 8, generator=torch_rng(0, "noise"))
    mixed = 0.6 * pixels[:300] + 0.4 * noise
    sets = {"synthetic": (mixed, labels[:300]), "real": (pixels[300:600], labels[300:600])}
    sets["noise"] = (noise, labels[:300])
    rows = quality.compare_quality(classifier, sets, image, pixels[600:900])
    found = {row["set"]: row for row in rows}
    assert list(found) == ["synthetic", "real", "noise"]
    for name, better in (("agreement", 1), ("coverage", 1), ("frechet", -1)):
        values = [better * found[key][name] for key in ("real", "synthetic", "noise")]
        assert values == sorted(values, reverse=True), name
    assert found["real"]["coverage"] > 0.7  # the digits come in order of their writers
    assert "frechet" not in quality.compare_quality(classifier, sets, image)[0]
