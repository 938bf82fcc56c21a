"""Golden values of the method sheet, and what the losses may not do."""

import math

import pytest
import torch
from torch import nn

from fedzda.clients.incremental import distillation, lucir
from fedzda.clients.incremental.vid import VID, gaussian_nll


@pytest.mark.parametrize(
    ("base", "old", "new", "weight"),
    [
        (5, 50, 10, 11.1803),
        (5, 90, 10, 15.0),
        (5, 50, 5, 15.8114),
        (5, 95, 5, 21.7945),
        (5, 50, 2, 25.0),
        (5, 98, 2, 35.0),
        (10, 50, 10, 22.3607),
        (10, 50, 5, 31.6228),
        (10, 50, 2, 50.0),
    ],
)
def test_less_forget_weight(base, old, new, weight):
    assert lucir.less_forget_weight(base, old, new) == pytest.approx(weight, abs=1e-4)


def test_less_forget():
    found = lucir.less_forget(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    assert float(found) == pytest.approx(0.292893, abs=1e-6)


def test_margin_ranking():
    cosines = torch.tensor([[0.6, 0.3, 0.2]], requires_grad=True)
    found = lucir.margin_ranking(cosines, torch.tensor([0]), 1).detach()
    assert float(found) == pytest.approx(0.15)
    none = lucir.margin_ranking(cosines, torch.tensor([2]), 1)
    assert float(none.detach()) == 0.0
    none.backward()
    assert torch.equal(cosines.grad, torch.zeros(1, 3))
    # the highest new scores count, as many as there are
    many = torch.tensor([[0.6, -0.9, 0.3, 0.2]])
    assert float(lucir.margin_ranking(many, torch.tensor([0]), 1)) == pytest.approx(0.15)
    one = torch.tensor([[0.6, 0.3]])
    assert float(lucir.margin_ranking(one, torch.tensor([0]), 1)) == pytest.approx(0.2)


def test_vid_by_hand():
    vid = VID(2, 3)
    assert float(vid.raw_variance[0].detach()) == pytest.approx(4.993229, abs=1e-6)
    assert torch.allclose(vid.variance, torch.tensor(5.0))
    ones = torch.ones(1, 1, 1, 1)
    five = torch.tensor([5.0])
    assert float(gaussian_nll(0 * ones, five)) == pytest.approx(0.804719, abs=1e-6)
    assert float(gaussian_nll(5 * ones, five)) == pytest.approx(1.304719, abs=1e-6)
    two = torch.tensor([1.0, 4.0]).view(1, 2, 1, 1)
    found = float(gaussian_nll(two, torch.tensor([5.0, 1.0])))
    assert found == pytest.approx(1.452360, abs=1e-6)
    small = float(gaussian_nll(0.01 * ones, torch.tensor([0.01])))
    assert small == pytest.approx(-1.802585, abs=1e-6)


def fitted(student, teacher, steps=300):
    torch.manual_seed(0)
    vid = VID(student.shape[1], teacher.shape[1])
    optimizer = torch.optim.Adam(vid.parameters(), 1e-2)
    first = float(vid.loss(student, teacher).detach())
    for _ in range(steps):
        optimizer.zero_grad()
        loss = vid.loss(student, teacher)
        loss.backward()
        optimizer.step()
    return first, float(loss.detach())


def test_vid_tells_a_map_of_the_teacher_from_noise():
    torch.manual_seed(1)
    teacher = torch.randn(64, 4, 3, 3)
    student = nn.functional.conv2d(teacher, torch.randn(6, 4, 1, 1))
    first, linear = fitted(student, teacher)
    _, noise = fitted(torch.randn(64, 6, 3, 3), teacher)
    assert linear < first
    assert linear < noise - 0.1


def test_vid_averages_the_larger_map_down_and_takes_vectors():
    torch.manual_seed(0)
    vid = VID(2, 2)
    student = torch.randn(3, 2, 4, 4)
    pooled = nn.functional.avg_pool2d(student, 2)
    teacher = torch.randn(3, 2, 2, 2)
    assert torch.allclose(vid.loss(student, teacher), vid.loss(pooled, teacher))
    assert vid.loss(torch.randn(3, 2), torch.randn(3, 2)).dim() == 0


def test_no_gradient_reaches_a_teacher():
    torch.manual_seed(0)
    for loss in (
        lambda s, t: VID(4, 4).loss(s, t),
        lambda s, t: lucir.less_forget(s, t),
        lambda s, t: distillation.softened(s, t, 2.0),
        lambda s, t: distillation.hard_difference(s, t),
        lambda s, t: distillation.relational(s, t),
        lambda s, t: distillation.weighted_features(s, t, torch.randn(3, 4)),
        lambda s, t: distillation.sigmoid_targets(s, t[:, :2], torch.tensor([2] * 5)),
    ):
        student = torch.randn(5, 4, requires_grad=True)
        teacher = torch.randn(5, 4, requires_grad=True)
        loss(student, teacher).backward()
        assert teacher.grad is None
        assert float(student.grad.abs().sum()) > 0


def test_losses_vanish_where_the_student_is_the_teacher():
    torch.manual_seed(0)
    same = torch.randn(5, 4)
    assert float(distillation.softened(same, same, 2.0)) == pytest.approx(0, abs=1e-6)
    assert float(distillation.relational(same, same)) == 0
    assert float(distillation.relational(3 * same + 1, same)) == pytest.approx(0, abs=1e-5)


def test_icarl_by_hand():
    student = torch.zeros(1, 3)
    found = distillation.sigmoid_targets(student, torch.tensor([[0.0, 100.0]]), torch.tensor([2]))
    assert float(found) == pytest.approx(3 * math.log(2), abs=1e-6)
