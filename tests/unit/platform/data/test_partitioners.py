from typing import Any

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform.data.partitioners import dirichlet, iid, inner_dirichlet, pathological
from fedzda.platform.data.partitioners.config import (
    DirichletConfig,
    IidConfig,
    InnerDirichletConfig,
    PathologicalConfig,
)
from fedzda.platform.data.partitioners.deal import Partition

LABELS = np.random.default_rng(3).permutation(np.arange(3000) % 10)

OWN = [
    (iid, IidConfig()),
    (dirichlet, DirichletConfig(alpha=0.1)),
    (dirichlet, DirichletConfig(alpha=[0.5] * 30)),
    (inner_dirichlet, InnerDirichletConfig(alpha=0.3)),
    (pathological, PathologicalConfig()),
    (pathological, PathologicalConfig(class_assignment_mode="deterministic")),
    (pathological, PathologicalConfig(class_assignment_mode="first-deterministic")),
]


def run(
    module: Any, config: Any, clients: int = 30, seed: int = 0, labels: Any = LABELS
) -> Partition:
    partition: Partition = module.assign(config, labels, {}, clients, np.random.default_rng(seed))
    return partition


def table(partition: Partition, labels: np.ndarray = LABELS) -> np.ndarray:
    """Samples per client and class."""
    owner = np.repeat(np.arange(len(partition.offsets) - 1), np.diff(partition.offsets))
    found = np.zeros((len(partition.offsets) - 1, labels.max() + 1), dtype=int)
    np.add.at(found, (owner, labels[partition.indices]), 1)
    return found


@pytest.mark.parametrize(("module", "config"), OWN)
def test_every_sample_is_dealt_once_and_no_client_is_empty(module: Any, config: Any):
    partition = run(module, config)
    assert sorted(partition.indices) == list(range(3000))
    assert len(partition.offsets) == 31
    assert np.diff(partition.offsets).min() >= 1


@pytest.mark.parametrize(("module", "config"), OWN)
def test_equal_seeds_give_equal_bits_and_others_do_not(module: Any, config: Any):
    first, again, other = run(module, config), run(module, config), run(module, config, seed=1)
    assert first.indices.tobytes() == again.indices.tobytes()
    assert first.offsets.tobytes() == again.offsets.tobytes()
    assert not np.array_equal(first.indices, other.indices)


def test_iid_sizes_differ_by_one():
    sizes = np.diff(run(iid, IidConfig(), clients=7).offsets)
    assert sizes.tolist() == [429] * 4 + [428] * 3


def test_dirichlet_is_skewed_for_small_alpha_and_even_for_large():
    skewed, even = (table(run(dirichlet, DirichletConfig(alpha=a))) for a in (0.05, 1000.0))
    assert (skewed.max(axis=0) > 60).all()  # an even share is 10
    assert np.abs(even - 10).max() <= 4


def test_dirichlet_shares_follow_alpha_per_client():
    alpha = [9.0] * 10 + [1.0] * 20
    sizes = np.diff(run(dirichlet, DirichletConfig(alpha=alpha)).offsets)
    # Expected share of one of the first ten: 9 / 110.
    assert sizes[:10].mean() == pytest.approx(3000 * 9 / 110, rel=0.1)


def test_dirichlet_fills_small_clients_from_the_largest():
    few = run(dirichlet, DirichletConfig(alpha=0.05, min_partition_size=40))
    raw = run(dirichlet, DirichletConfig(alpha=0.05))
    sizes, before = np.diff(few.offsets), np.diff(raw.offsets)
    assert sizes.min() == 40
    assert before.min() < 40
    assert (sizes[before >= 40] <= before[before >= 40]).all()
    assert before.max() - sizes.max() > 0


def test_dirichlet_with_no_room_to_spare_deals_equally():
    sizes = np.diff(run(dirichlet, DirichletConfig(alpha=0.05, min_partition_size=100)).offsets)
    assert set(sizes) == {100}


def test_dirichlet_refuses_what_cannot_be():
    with pytest.raises(UserError, match=r"min_partition_size is 101.*3000 samples"):
        run(dirichlet, DirichletConfig(min_partition_size=101))
    with pytest.raises(UserError, match=r"alpha has 2 values for 30 clients"):
        run(dirichlet, DirichletConfig(alpha=[1.0, 2.0]))


def test_inner_dirichlet_has_the_sizes_asked_for():
    sizes = [100, 1, 399, 1500]
    partition = run(inner_dirichlet, InnerDirichletConfig(alpha=0.2, sizes=sizes), clients=4)
    assert np.diff(partition.offsets).tolist() == sizes
    assert len(set(partition.indices.tolist())) == 2000


def test_inner_dirichlet_mixtures_differ_between_clients():
    shares = table(run(inner_dirichlet, InnerDirichletConfig(alpha=0.1)))[:10] / 100
    assert shares.max(axis=1).mean() > 0.4  # an even share is 0.1
    assert len(set(shares.argmax(axis=1))) > 3


def test_inner_dirichlet_refuses_more_than_there_is():
    with pytest.raises(UserError, match=r"add up to 4000, but there are 3000"):
        run(inner_dirichlet, InnerDirichletConfig(sizes=[2000, 2000]), clients=2)
    with pytest.raises(UserError, match=r"alpha has 3 values for 10 classes"):
        run(inner_dirichlet, InnerDirichletConfig(alpha=[1.0] * 3))


@pytest.mark.parametrize(("clients", "per_client"), [(20, 2), (7, 3), (11, 9), (5, 10), (40, 1)])
def test_pathological_is_balanced(clients: int, per_client: int):
    config = PathologicalConfig(classes_per_client=per_client)
    found = table(run(pathological, config, clients=clients))
    assert set((found > 0).sum(axis=1)) == {per_client}
    holders = (found > 0).sum(axis=0)
    assert holders.max() - holders.min() <= 1
    for column in found.T:
        shares = column[column > 0]
        assert len(shares) == 0 or shares.max() - shares.min() <= 1


def test_pathological_modes():
    fixed = table(run(pathological, PathologicalConfig(class_assignment_mode="deterministic")))
    assert [set(np.flatnonzero(row)) for row in fixed[[0, 9]]] == [{0, 1}, {9, 0}]
    first = table(
        run(pathological, PathologicalConfig(class_assignment_mode="first-deterministic"))
    )
    assert all(first[client, client % 10] > 0 for client in range(30))
    drawn = table(run(pathological, PathologicalConfig(class_assignment_mode="random")))
    holders = (drawn > 0).sum(axis=0)
    assert holders.max() - holders.min() > 1


def test_pathological_skips_a_label_that_the_data_lacks():
    labels = LABELS[LABELS != 4]
    found = table(run(pathological, PathologicalConfig(), labels=labels), labels)
    assert set((found > 0).sum(axis=1)) == {2}


def test_pathological_refuses_what_cannot_be():
    with pytest.raises(UserError, match=r"classes_per_client is 11, but the data has 10"):
        run(pathological, PathologicalConfig(classes_per_client=11))
    with pytest.raises(UserError, match=r"class \d has 2 samples for 4 clients"):
        run(pathological, PathologicalConfig(), clients=20, labels=np.arange(20) % 10)
