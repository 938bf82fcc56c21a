"""The mean over the clients that cover an entry."""

import pickle

import numpy as np
import pytest
import torch

from fedzda.platform.averaging import WeightedSum

OLD = {"w": np.full(4, 10.0, np.float32)}
A = torch.tensor([1.0, 2.0, 0.0, 0.0]), torch.tensor([True, True, False, False])
B = torch.tensor([3.0, 4.0, 5.0, 6.0]), None


def mean(*clients, before=OLD):
    total = WeightedSum()
    for (value, covered), weight in clients:
        total.add({"w": value}, weight, None if covered is None else {"w": covered})
    return total.mean(before)["w"].tolist()


def test_by_hand():
    """The golden values of the method sheet: counts, sizes 3 and 1, and A alone."""
    assert mean((A, 1), (B, 1)) == [2.0, 3.0, 5.0, 6.0]
    assert mean((A, 3), (B, 1)) == [1.5, 2.5, 5.0, 6.0]
    assert mean((A, 1)) == [1.0, 2.0, 10.0, 10.0]


def test_full_coverage_is_the_plain_mean_to_the_bit():
    torch.manual_seed(0)
    values = [torch.randn(50) for _ in range(7)]
    plain, covered = WeightedSum(), WeightedSum()
    for number, value in enumerate(values):
        plain.add({"w": value}, 3.0 + number)
        covered.add({"w": value}, 3.0 + number, {})
    assert torch.equal(plain.mean()["w"], covered.mean()["w"])
    everything = WeightedSum()
    for number, value in enumerate(values):
        everything.add({"w": value}, 3.0 + number, {"w": torch.ones(50, dtype=torch.bool)})
    assert torch.equal(plain.mean()["w"], everything.mean({"w": np.zeros(50, np.float32)})["w"])


def test_parts_may_be_summed_elsewhere():
    first, second, whole = WeightedSum(), WeightedSum(), WeightedSum()
    for total in (first, whole):
        total.add({"w": A[0]}, 3, {"w": A[1]})
    for total in (second, whole):
        total.add({"w": B[0]}, 1)
    travelled = pickle.loads(pickle.dumps(first))
    empty = WeightedSum()
    for part in (travelled, pickle.loads(pickle.dumps(second))):
        empty.merge(part)
    assert torch.equal(empty.mean(OLD)["w"], whole.mean(OLD)["w"])
    second.merge(first)
    assert torch.equal(second.mean(OLD)["w"], whole.mean(OLD)["w"])


def test_pooled_variance_of_the_channels_that_each_has():
    """Channel 0: clients of mean -1 and 1, variance 1 each, pooled 2. Channel 1: one client."""
    total = WeightedSum(pooled=True)
    covered = {f"n.running_{what}": torch.tensor([True, False]) for what in ("mean", "var")}
    total.add(
        {"n.running_mean": torch.tensor([-1.0, 0.0]), "n.running_var": torch.tensor([1.0, 0.0])},
        1,
        covered,
    )
    total.add(
        {"n.running_mean": torch.tensor([1.0, 3.0]), "n.running_var": torch.tensor([1.0, 4.0])}, 1
    )
    found = total.mean({k: np.zeros(2, np.float32) for k in covered})
    assert found["n.running_mean"].tolist() == [0.0, 3.0]
    assert found["n.running_var"].tolist() == [2.0, 4.0]


def test_partial_coverage_needs_the_model_of_before():
    with pytest.raises(AssertionError, match="arrays of before"):
        mean((A, 1), before=None)
