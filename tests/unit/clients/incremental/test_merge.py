"""One model of two with different classes, without data."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from fedzda.base import ImageSpec, UserError, fingerprint
from fedzda.clients.classifiers import Classifier, build_model
from fedzda.clients.incremental.merge import merge
from fedzda.clients.incremental.merge_config import MergeConfig
from fedzda.platform.config import specialise

LENET = {"name": "lenet-bn", "width": 4}
QUICK = {"name": "zs-cgan", "steps": 2, "batch_size": 10, "channels": 4}
TINY = {"synthesizer": QUICK, "store": 20, "steps": 2, "batch_size": 10}


def classifier(classes, block=LENET, seed=0, side=8, mean=0.3):
    image = ImageSpec((1, side, side), classes, (mean,), (0.4,))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(block, image)
    return Classifier(model.eval(), image, fingerprint(model.state_dict()), block)


def merged(first, second, student=None, seed=0, **changes):
    raw = {**TINY, **changes}
    return merge(first, second, specialise(MergeConfig, raw).model_validate(raw), seed, student)


def test_the_result_has_all_classes_and_the_teachers_stay_as_they_are():
    first, second = classifier(3), classifier(2, seed=1, mean=0.5)
    made = merged(first, second)
    assert made.image == ImageSpec((1, 8, 8), 5, (0.3,), (0.4,))
    assert made.block == LENET
    assert made.model(torch.rand(2, 1, 8, 8)).shape == (2, 5)
    for each in (first, second):
        assert fingerprint(each.model.state_dict()) == each.fingerprint
        assert all(p.grad is None for p in each.model.parameters())
        assert not any(module._forward_hooks for module in each.model.modules())
    assert set(made.figures) == {"first", "second", "loss"}
    again = merged(first, second).model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in made.model.state_dict().items())


def test_the_student_starts_from_the_first_model():
    first, second = classifier(3), classifier(2, seed=1)
    still = {"name": "sgd", "lr": 1e-12}
    state = merged(first, second, optimizer=still, store=None).model.state_dict()
    given = first.model.state_dict()
    assert torch.allclose(state["classifier.weight"][:3], given["classifier.weight"])
    assert torch.allclose(state["features.0.weight"], given["features.0.weight"])
    scratch = merged(first, second, optimizer=still, init="scratch").model.state_dict()
    assert not torch.allclose(scratch["features.0.weight"], given["features.0.weight"])


def test_students_of_another_architecture():
    first, second = classifier(3), classifier(2, {"name": "lenet-bn", "width": 6}, seed=1)
    deep = {"name": "resnet-8"}
    made = merged(first, second, student=deep, init="scratch", mid_channels=2)
    assert type(made.model).__name__ == "ResNet8"
    assert made.block == deep
    with pytest.raises(UserError, match="another architecture than the first model"):
        merged(first, second, student=deep)
    with pytest.raises(UserError, match="another architecture than the first model"):
        merged(first, second, student={"name": "lenet-bn", "width": 6})


def test_models_that_cannot_be_merged():
    with pytest.raises(UserError, match=r"takes images of shape \(1, 8, 8\), the second of"):
        merged(classifier(3), classifier(2, side=12))
    with pytest.raises(UserError, match="layers names 'nowhere', which model LeNetBN"):
        merged(classifier(3), classifier(2), layers=["nowhere"])
    groups = {"name": "lenet-bn", "width": 4, "norm": "group"}
    with pytest.raises(UserError, match="BatchNorm"):
        merged(classifier(3, groups), classifier(2, groups))


def halves():
    """Digits 0 to 4 and 5 to 9, and a classifier of each."""
    data = load_digits()
    pixels = torch.tensor(data.images / 16.0, dtype=torch.float32)[:, None]
    for start in (0, 5):
        own = np.flatnonzero((data.target >= start) & (data.target < start + 5))
        made = classifier(5, {"name": "lenet-bn", "width": 8}, seed=start)
        x, y = made.image.normalize(pixels[own]), torch.tensor(data.target[own] - start)
        optimizer = torch.optim.SGD(made.model.train().parameters(), 0.05, momentum=0.9)
        for _ in range(3):
            for rows in torch.arange(len(y)).split(32):
                optimizer.zero_grad()
                nn.functional.cross_entropy(made.model(x[rows]), y[rows]).backward()
                optimizer.step()
        optimizer.zero_grad()
        made.model.eval()
        yield made._replace(fingerprint=fingerprint(made.model.state_dict())), pixels[own], y


@pytest.mark.regression  # a minute and a half
def test_the_student_knows_real_digits_of_both():
    (first, pixels_a, labels_a), (second, pixels_b, labels_b) = halves()
    maker = {"name": "zs-cgan", "steps": 150, "batch_size": 64, "channels": 48}
    fast = {"name": "adam", "lr": 0.005}
    changes = {"store": 600, "steps": 150, "batch_size": 64, "optimizer": fast}
    made = merged(first, second, synthesizer=maker, **changes)
    parts = ((pixels_a, labels_a), (pixels_b, labels_b + 5))
    for pixels, labels in parts:
        found = made.model(made.image.normalize(pixels)).argmax(dim=1)
        assert float((found == labels).float().mean()) > 0.4  # a guess: 0.1
