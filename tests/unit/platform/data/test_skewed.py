"""Label and quantity skew, and clusters of clients."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform.data.partitioners import clusters, inner_dirichlet, label_quantity
from fedzda.platform.data.partitioners.config import (
    ClustersConfig,
    InnerDirichletConfig,
    LabelQuantityConfig,
)

LABELS = np.random.default_rng(3).permutation(np.arange(3000) % 10)


def dealt(module, config, clients=30, seed=0, labels=LABELS):
    return module.assign(config, labels, {}, clients, np.random.default_rng(seed))


def table(partition, labels=LABELS):
    owner = np.repeat(np.arange(len(partition.offsets) - 1), np.diff(partition.offsets))
    found = np.zeros((len(partition.offsets) - 1, labels.max() + 1), dtype=int)
    np.add.at(found, (owner, labels[partition.indices]), 1)
    return found


@pytest.mark.parametrize(
    ("module", "config"),
    [
        (label_quantity, LabelQuantityConfig()),
        (clusters, ClustersConfig()),
        (clusters, ClustersConfig(clusters=3, labels="classes")),
        (clusters, ClustersConfig(clusters=7, labels="pool")),
    ],
)
def test_every_sample_once_and_equal_seeds_give_equal_bits(module, config):
    first, again, other = (
        dealt(module, config),
        dealt(module, config),
        dealt(module, config, seed=1),
    )
    assert sorted(first.indices) == list(range(3000))
    assert first.indices.tobytes() == again.indices.tobytes()
    assert not np.array_equal(first.indices, other.indices)


def test_sizes_and_labels_are_skewed_each_by_its_own_key():
    both = table(dealt(label_quantity, LabelQuantityConfig(alpha=0.1, size_alpha=0.3)))
    assert both.sum(axis=1).min() >= 10
    assert both.sum(axis=1).max() > 300  # an equal share is 100
    assert (both.max(axis=1) / both.sum(axis=1)).mean() > 0.4  # an even one is 0.1
    sizes_only = table(dealt(label_quantity, LabelQuantityConfig(alpha=1e5, size_alpha=0.3)))
    large = sizes_only[sizes_only.sum(axis=1) > 150]
    assert np.abs(large / large.sum(axis=1, keepdims=True) - 0.1).max() < 0.12
    labels_only = dealt(label_quantity, LabelQuantityConfig(alpha=0.1, size_alpha=1e6))
    assert np.ptp(np.diff(labels_only.offsets)) <= 3


def test_label_quantity_refuses_what_cannot_be():
    with pytest.raises(UserError, match=r"min_partition_size is 101.*3000 samples"):
        dealt(label_quantity, LabelQuantityConfig(min_partition_size=101))
    with pytest.raises(UserError, match=r"alpha has 3 values for 10 classes"):
        dealt(label_quantity, LabelQuantityConfig(alpha=[1.0] * 3))


def test_inner_dirichlet_is_what_it_was():
    """Its body is shared now; the draws must not have moved."""
    partition = dealt(inner_dirichlet, InnerDirichletConfig(alpha=0.3))
    assert np.diff(partition.offsets).tolist() == [100] * 30


def test_clients_of_a_cluster_share_their_labels():
    owner = clusters.cluster_of(30, 4)
    assert np.bincount(owner).tolist() == [8, 7, 8, 7]
    assert (np.diff(owner) >= 0).all()
    found = table(dealt(clusters, ClustersConfig(alpha=0.3)))
    for cluster in range(4):
        own = found[owner == cluster]
        assert np.ptp(own, axis=0).max() <= 1
        assert np.ptp(own.sum(axis=1)) <= 1
    between = np.abs(found[0] / found[0].sum() - found[-1] / found[-1].sum()).sum() / 2
    assert between > 0.3


def test_clusters_of_classes_share_no_class():
    found = table(dealt(clusters, ClustersConfig(labels="classes")))
    owner = clusters.cluster_of(30, 4)
    holders = [{int(k) for k in np.flatnonzero(found[owner == c].sum(axis=0))} for c in range(4)]
    assert sorted(len(held) for held in holders) == [2, 2, 3, 3]
    assert set().union(*holders) == set(range(10))


def test_clusters_like_the_pool_are_alike():
    found = table(dealt(clusters, ClustersConfig(labels="pool")))
    assert np.ptp(found, axis=0).max() <= 2


def test_clusters_refuses_what_cannot_be():
    with pytest.raises(UserError, match=r"clusters is 31, but data\.clients is 30"):
        dealt(clusters, ClustersConfig(clusters=31))
    with pytest.raises(UserError, match=r"clusters is 11, but the number of classes is 10"):
        dealt(clusters, ClustersConfig(clusters=11, labels="classes"))
