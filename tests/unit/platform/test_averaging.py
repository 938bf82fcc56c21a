import pickle

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord

from fedzda.platform.averaging import ChunkSums, WeightedSum
from fedzda.platform.engines.chunks import ONE_BY_ONE, cut
from fedzda.platform.records import restore_dtypes


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


@pytest.mark.parametrize("chunks", [1, 2, 5, 8, 13])
def test_chunks_may_come_in_any_order(chunks):
    rows = {}
    for index in range(chunks):
        rows[index] = WeightedSum()
        rows[index].add({"w": torch.randn(50) * 10.0**index}, index + 0.1)
    means = []
    for seed in range(5):
        sums = ChunkSums()
        for index in np.random.default_rng(seed).permutation(chunks):
            sums.add(int(index), pickle.loads(pickle.dumps(rows[int(index)])))
        total = sums.total()
        assert total.weight == pytest.approx(sum(row.weight for row in rows.values()))
        means.append(total.mean()["w"])
    assert all(torch.equal(mean, means[0]) for mean in means)
    expected = sum(row.sums["w"] for row in rows.values()) / sum(r.weight for r in rows.values())
    torch.testing.assert_close(means[0], expected.float())


@pytest.mark.parametrize("clients", [1, 3, 6, 11, 25, 64, 100])
def test_how_leaves_are_bundled_changes_no_bit(clients):
    values = torch.randn(clients, 5, generator=torch.Generator().manual_seed(0)) ** 9
    means = []
    for workers, smallest in ((1, 1), (2, 1), (4, 1), (100, 1), (2, 10), (3, 1000)):
        whole = ChunkSums()
        chunks = cut(list(range(clients)), ONE_BY_ONE.count(clients), workers, smallest)
        assert [client for chunk in chunks for client in chunk.calls] == list(range(clients))
        for chunk in chunks:
            part = ChunkSums()
            for number, leaf in enumerate(chunk.leaves()):
                total = WeightedSum()
                for client in leaf:
                    total.add({"w": values[client]}, 1 + client)
                part.add(number, total)
            whole.add(chunk.index, part.total(), len(chunk.sizes))
        means.append(whole.total().mean()["w"])
    assert all(torch.equal(mean, means[0]) for mean in means)


def test_a_worker_gets_large_chunks_first_and_at_least_what_is_worth_the_journey():
    sizes = [len(chunk.calls) for chunk in cut(list(range(64)), 16, 2)]
    assert sizes == [16, 16, 8, 8, 4, 4, 4, 4]
    assert [len(chunk.calls) for chunk in cut(list(range(64)), 16, 2, smallest=30)] == [32, 32]
    assert [len(chunk.calls) for chunk in cut(list(range(50)), 16, 2, smallest=99)] == [25, 25]
    assert [len(chunk.calls) for chunk in cut(list(range(3)), 4, 2)] == [1, 2]


def test_nothing_added_is_an_error():
    with pytest.raises(ZeroDivisionError, match="total weight"):
        WeightedSum().mean()


def test_means_of_whole_numbers_and_flags_are_rounded_to_the_nearest():
    like = {"steps": np.array([3], np.int64), "seen": np.array([True, True])}
    mean = {"steps": np.array([2.6]), "seen": np.array([0.25, 0.75])}
    found = restore_dtypes(ArrayRecord({k: Array(v) for k, v in mean.items()}), like)
    assert found["steps"].numpy().tolist() == [3]
    assert found["seen"].numpy().tolist() == [False, True]
