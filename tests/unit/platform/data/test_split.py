import numpy as np
import pytest

from fedzda.platform.data.apportion import apportion, stratified_choice
from fedzda.platform.data.partitioners.deal import Partition, from_owner
from fedzda.platform.data.split import Splits, split


def clients_of(partition: Partition) -> np.ndarray:
    return np.repeat(np.arange(len(partition.offsets) - 1), np.diff(partition.offsets))


def counts(partition: Partition, labels: np.ndarray, num_classes: int) -> np.ndarray:
    table = np.zeros((len(partition.offsets) - 1, num_classes), dtype=int)
    np.add.at(table, (clients_of(partition), labels[partition.indices]), 1)
    return table


def toy(test: float, validation: float, seed: int = 0) -> tuple[Partition, np.ndarray, Splits]:
    rng = np.random.default_rng(7)
    labels = rng.integers(5, size=2000)
    whole = from_owner(rng.choice(60, size=2000, p=rng.dirichlet(np.full(60, 0.7))), 60)
    return whole, labels, split(whole, labels, test, validation, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("test", "validation"),
    [(0.2, 0.0), (0.25, 0.15), (0.1, 0.8), (0.7, 0.29), (0.0, 0.0), (0.0, 0.3)],
)
def test_parts_are_disjoint_complete_and_within_one_sample_per_class(
    test: float, validation: float
):
    whole, labels, parts = toy(test, validation)
    for client in range(60):
        own = whole.indices[whole.offsets[client] : whole.offsets[client + 1]]
        dealt = [p.indices[p.offsets[client] : p.offsets[client + 1]] for p in parts]
        assert sorted(np.concatenate(dealt)) == sorted(own)
        assert all((np.diff(rows) > 0).all() for rows in dealt)
    all_counts = counts(whole, labels, 5)
    for part, fraction in zip(parts, (1 - test - validation, validation, test), strict=True):
        slack = 2 if part is parts.train and test and validation else 1
        gap = np.abs(counts(part, labels, 5) - fraction * all_counts)
        assert gap.max() <= slack + 1e-9


def test_per_client_sizes_are_the_rounded_fraction():
    whole, _, parts = toy(0.25, 0.0)
    sizes = np.diff(whole.offsets)
    expected = np.where(sizes > 1, np.maximum(np.floor(0.25 * sizes + 0.5), 1), 0)
    assert (np.diff(parts.test.offsets) == expected).all()


def test_two_samples_give_one_to_train_and_one_to_test():
    whole = Partition(np.array([0, 1, 2]), np.array([0, 2, 3]))
    parts = split(whole, np.array([0, 0, 1]), 0.1, 0.0, np.random.default_rng(0))
    assert np.diff(parts.train.offsets).tolist() == [1, 1]
    assert np.diff(parts.test.offsets).tolist() == [1, 0]


def test_an_extreme_fraction_leaves_one_training_sample():
    whole = Partition(np.arange(4), np.array([0, 2, 4]))
    parts = split(whole, np.zeros(4, int), 0.99, 0.0, np.random.default_rng(0))
    assert np.diff(parts.train.offsets).tolist() == [1, 1]


def test_the_seed_decides():
    _, _, first = toy(0.2, 0.1)
    _, _, again = toy(0.2, 0.1)
    _, _, other = toy(0.2, 0.1, seed=1)
    assert (first.test.indices == again.test.indices).all()
    assert not np.array_equal(first.test.indices, other.test.indices)


def test_apportion_by_hand():
    sizes, owner = np.array([3, 3, 4]), np.array([0, 0, 0])
    # Quotas 1.5, 1.5, 2.0 and 5 in all: 2.0 has no remainder, one of the others gets the fifth.
    given = apportion(sizes, owner, 0.5, np.array([5]), sizes, np.random.default_rng(0))
    assert given[2] == 2
    assert sorted(given[:2]) == [1, 2]


def test_apportion_respects_capacity():
    sizes, owner = np.array([1, 5]), np.array([0, 0])
    given = apportion(sizes, owner, 0.5, np.array([3]), np.array([0, 5]), np.random.default_rng(0))
    assert given.tolist() == [0, 3]


def test_stratified_choice_keeps_the_distribution():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = stratified_choice(labels, 105, np.random.default_rng(0))
    assert len(np.unique(rows)) == 105
    assert np.abs(np.bincount(labels[rows]) - [63, 31.5, 10.5]).max() <= 1
