import pytest
import torch

from fedzda.platform.averaging import WeightedSum


def test_weighted_mean_by_hand():
    total = WeightedSum()
    total.add({"w": torch.tensor([1.0, 2.0])}, 3)
    total.add({"w": torch.tensor([3.0, 4.0])}, 1)
    assert total.mean()["w"].tolist() == [1.5, 2.5]


def test_pooled_variance_by_hand():
    """Sheet fed-zda, section 7: means -1 and 1, variances 1 and 1: pooled 2, naive 1."""
    clients = [
        {"bn.running_mean": torch.tensor([m]), "bn.running_var": torch.tensor([1.0])}
        for m in (-1.0, 1.0)
    ]
    results = {}
    for pooled in (True, False):
        total = WeightedSum(pooled=pooled)
        for arrays in clients:
            total.add(arrays, 5)
        results[pooled] = total.mean()["bn.running_var"].item()
    assert results == {True: 2.0, False: 1.0}


def test_identical_models_come_back_unchanged_with_their_types():
    model = torch.nn.BatchNorm1d(7)
    model(torch.randn(5, 7))
    arrays = model.state_dict()
    for pooled in (True, False):
        total = WeightedSum(pooled=pooled)
        for weight in (3, 7, 11):
            total.add(arrays, weight)
        mean = total.mean()
        for name, value in arrays.items():
            assert mean[name].dtype == value.dtype
            if pooled and name.endswith("running_var"):
                torch.testing.assert_close(mean[name], value)
            else:
                assert torch.equal(mean[name], value), name


def test_merging_chunks_equals_adding_in_order():
    rows = [({"w": torch.randn(4, dtype=torch.float64)}, w) for w in (1, 2, 3, 4)]
    halves = [WeightedSum(), WeightedSum()]
    whole = WeightedSum()
    for index, (arrays, weight) in enumerate(rows):
        halves[index // 2].add(arrays, weight)
        whole.add(arrays, weight)
    halves[0].merge(halves[1])
    torch.testing.assert_close(halves[0].mean()["w"], whole.mean()["w"], rtol=1e-14, atol=0)


def test_nothing_added_is_an_error():
    with pytest.raises(ZeroDivisionError, match="total weight"):
        WeightedSum().mean()
