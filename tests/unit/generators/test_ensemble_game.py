"""The ensemble by hand, the labels that are drawn, and what generator and students do."""

import copy

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.generators.common import balanced_labels
from fedzda.generators.ensemble_config import EnsembleGameConfig
from fedzda.generators.ensemble_game import Ensemble, EnsembleGame, class_shares, sampled_labels
from fedzda.generators.losses import kl_divergence

IMAGE = ImageSpec((1, 8, 8), 3, (0.5,), (0.25,))


class Fixed(nn.Module):
    """Says the same about every image."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x_NCHW):
        return self.logits.expand(len(x_NCHW), -1)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def network(seed, width=8, norm=True):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, width, 3, padding=1)]
    layers += [nn.BatchNorm2d(width)] if norm else []
    return nn.Sequential(
        *layers, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * width, 3)
    )


def images(count, seed):
    """Class 0 is bright at the top, class 1 in the middle, class 2 at the bottom."""
    labels = balanced_labels(range(3), count, rng(seed))
    pixels = 0.2 * torch.rand(count, 1, 8, 8, generator=rng(seed + 1))
    for row, label in enumerate(labels):
        pixels[row, 0, 3 * label : 3 * label + 2] += 0.7
    return IMAGE.normalize(pixels), labels


@pytest.fixture(scope="module")
def trained():
    """Two classifiers that know their classes, one of each width."""
    found = []
    for seed in (0, 1):
        model = network(seed, width=8 + 4 * seed)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9)
        for step in range(60):
            x, y = images(48, 100 * seed + step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        found.append(model.eval())
    return found


def test_ensemble_logits_by_hand():
    """Class 0: three of four samples behind the first member; class 1: all behind the second."""
    counts = torch.tensor([[3.0, 0.0], [1.0, 5.0]])
    ensemble = Ensemble([Fixed(4.0, 0.0), Fixed(0.0, 8.0)], class_shares(counts))
    logits = ensemble(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1]))
    assert torch.equal(logits, torch.tensor([[3.0, 2.0], [0.0, 8.0]]))
    equal = Ensemble([Fixed(4.0, 0.0), Fixed(0.0, 8.0)], torch.full((2, 2), 0.5))
    assert torch.equal(
        equal(torch.zeros(1, 1, 1, 1), torch.tensor([1])), torch.tensor([[2.0, 4.0]])
    )


def test_a_class_that_nobody_holds_is_everybodys():
    shares = class_shares(torch.tensor([[2.0, 0.0], [2.0, 0.0]]))
    assert torch.equal(shares, torch.full((2, 2), 0.5))


def test_labels_are_drawn_as_often_as_clients_hold_them():
    counts = torch.tensor([30.0, 0.0, 10.0])
    labels = sampled_labels(counts, 4000, "counts", rng())
    shares = torch.bincount(labels, minlength=3) / 4000
    assert shares[1] == 0
    assert shares[0] == pytest.approx(0.75, abs=0.03)
    balanced = sampled_labels(counts, 30, "balanced", rng())
    assert torch.bincount(balanced, minlength=3).tolist() == [10, 10, 10]
    assert torch.equal(labels, sampled_labels(counts, 4000, "counts", rng()))


def game(trained, students, counts=((10.0, 10.0, 10.0), (10.0, 10.0, 10.0)), state=None, **changes):
    settings = {"warmup_steps": 60, "turns": 40, "batch_size": 32, "channels": 16, **changes}
    config = EnsembleGameConfig(**settings)
    return EnsembleGame(trained, torch.tensor(counts), students, IMAGE, config, rng(5), state)


def accuracy(model):
    x, y = images(120, 999)
    with torch.no_grad():
        return float((model.eval()(x).argmax(1) == y).double().mean())


def test_students_of_other_architectures_learn_without_data(trained):
    students = [network(7, width=4), network(8, width=6, norm=False)]
    before = [accuracy(student) for student in students]
    weights = [copy.deepcopy(member.state_dict()) for member in trained]
    figures = game(trained, students, turns=120, student_lr=0.05).play()
    after = [accuracy(student) for student in students]
    assert figures["agreement"] > 0.8
    assert min(after) > max(0.8, *before)
    for member, own in zip(trained, weights, strict=True):
        assert all(torch.equal(value, own[name]) for name, value in member.state_dict().items())


def test_the_same_again_and_on_from_a_state(trained):
    first, second = network(7), network(7)
    one, two = game(trained, [first], turns=3), game(trained, [second], turns=3)
    assert one.play() == two.play()
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())
    further = game(trained, [second], turns=1, state=one.state())
    assert further.warmup == 0
    start = further.generator.state_dict()
    assert start.keys() <= one.state().keys()
    assert all(torch.equal(value, start[name]) for name, value in one.state().items())


def steps(trained, student, **changes):
    """A game whose losses can be asked for one step at a time."""
    own = game(trained, [student], bn_weight=0.0, ce_weight=0.0, diversity_weight=0.0, **changes)
    own.matches = []
    return own, torch.optim.Adam(own.generator.parameters(), 5e-3)


def test_generator_steps_raise_the_divergence_that_student_steps_lower(trained):
    own, optimizer = steps(trained, network(7))
    first = [float(own.generator_step(optimizer)["adversarial"]) for _ in range(30)]
    assert sum(first[-5:]) > sum(first[:5])
    sgd = [torch.optim.SGD(own.students[0].parameters(), 0.05, 0.9)]
    later = [float(own.student_step(sgd)["student"]) for _ in range(40)]
    assert sum(later[-5:]) < sum(later[:5])


def test_where_the_reward_is_paid(trained):
    """A student that always says class 0: it is wrong only where the ensemble says another."""
    own, _ = steps(trained, Fixed(9.0, 0.0, 0.0), hard="disagreement")
    teacher = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    x = torch.zeros(2, 1, 8, 8)
    found = own._disagreement(x, teacher)
    alone = kl_divergence(teacher[1:], torch.tensor([[9.0, 0.0, 0.0]]))
    assert float(found) == pytest.approx(float(alone) / 2)
    everywhere, _ = steps(trained, Fixed(9.0, 0.0, 0.0))
    assert float(everywhere._disagreement(x, teacher)) > float(found)


@pytest.mark.parametrize("how", ["frozen", "update"])
def test_batchnorm_of_students(trained, how):
    student = network(7)
    before = student[1].running_mean.clone()
    game(trained, [student], turns=1, student_batchnorm=how).play()
    assert torch.equal(before, student[1].running_mean) == (how == "frozen")


def test_members_without_batchnorm(trained):
    """They count in the ensemble, and have no statistics to match."""
    plain = network(3, norm=False).eval()
    mixed = game([trained[0], plain], [network(7)], turns=1)
    mixed.play()
    assert len(mixed.matches) == 1
    none = game([plain, plain], [network(7)], turns=1)
    assert none.play()["bn"] == 0
