"""Configuration of the partitioners. Imports neither Flower nor ``datasets``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fedzda.platform.config import PartitionerConfig

_Alpha = Annotated[float, Field(gt=0)]
_Size = Annotated[int, Field(ge=1)]


class IidConfig(PartitionerConfig):
    """Shuffled data in equal shares (sizes differ by one at most)."""

    name: Literal["iid"] = "iid"


class DirichletConfig(PartitionerConfig):
    """Each class is divided among the clients by a draw from Dirichlet(alpha, …, alpha)."""

    name: Literal["dirichlet"] = "dirichlet"
    alpha: _Alpha | list[_Alpha] = 0.5
    """Concentration: small is skewed, large is even. A list gives one value per client."""
    min_partition_size: int = Field(default=1, ge=1)
    """A client dealt fewer samples is filled up from the clients that were dealt most."""


class FlwrDirichletConfig(PartitionerConfig):
    """flwr-datasets' ``DirichletPartitioner``."""

    name: Literal["flwr-dirichlet"] = "flwr-dirichlet"
    alpha: _Alpha | list[_Alpha] = 0.5
    """Concentration, or a list with one value per client."""
    min_partition_size: int = Field(default=10, ge=0)
    """All is drawn anew, ten times at most, until every client has so many samples."""
    self_balancing: bool = False
    """Give no more samples to a client that has more than its equal share already."""


class InnerDirichletConfig(PartitionerConfig):
    """Given sizes; the labels inside each client follow its own draw from Dirichlet(alpha)."""

    name: Literal["inner-dirichlet"] = "inner-dirichlet"
    alpha: _Alpha | list[_Alpha] = 0.5
    """Concentration, or a list with one value per class."""
    sizes: list[_Size] | None = None
    """Samples per client; left out: equal shares for ``data.clients`` clients."""


class FlwrInnerDirichletConfig(PartitionerConfig):
    """flwr-datasets' ``InnerDirichletPartitioner``: sample by sample, slow for many clients."""

    name: Literal["flwr-inner-dirichlet"] = "flwr-inner-dirichlet"
    alpha: _Alpha | list[_Alpha] = 0.5
    """Concentration, or a list with one value per class."""
    sizes: list[_Size]
    """Samples per client."""


class LabelQuantityConfig(PartitionerConfig):
    """Sizes from Dirichlet(size_alpha), labels inside each client from Dirichlet(alpha)."""

    name: Literal["label-quantity"] = "label-quantity"
    alpha: _Alpha | list[_Alpha] = 0.5
    """Concentration of the labels: small is skewed. A list gives one value per class."""
    size_alpha: _Alpha = 0.5
    """Concentration of the sizes: small makes a few large clients and many small ones."""
    min_partition_size: int = Field(default=10, ge=1)
    """What every client gets before the rest is divided by the draw."""


class ClustersConfig(PartitionerConfig):
    """Clusters of clients that share a label distribution (and, with ``data.shift``, a view)."""

    name: Literal["clusters"] = "clusters"
    clusters: int = Field(default=4, ge=1)
    """Number of clusters; neighbouring clients share one."""
    labels: Literal["dirichlet", "classes", "pool"] = "dirichlet"
    """``dirichlet``: each class is divided among the clusters by a draw from Dirichlet(alpha);
    ``classes``: each class belongs to one cluster; ``pool``: all clusters are alike, so that only
    ``data.shift`` tells them apart."""
    alpha: _Alpha = 0.5
    """Concentration of ``labels: dirichlet``: small is skewed."""


class PathologicalConfig(PartitionerConfig):
    """Every client holds a fixed number of classes; a class is shared equally by its holders."""

    name: Literal["pathological"] = "pathological"
    classes_per_client: int = Field(default=2, ge=1)
    """Number of classes of each client."""
    class_assignment_mode: Literal["balanced", "random", "deterministic", "first-deterministic"] = (
        "balanced"
    )
    """``balanced``: random, all classes have equally many holders (give or take one); ``random``:
    each client draws on its own; ``deterministic``: client i has classes i, i+1, …;
    ``first-deterministic``: the first class is i, the others are drawn."""


class FlwrPathologicalConfig(PartitionerConfig):
    """flwr-datasets' ``PathologicalPartitioner``."""

    name: Literal["flwr-pathological"] = "flwr-pathological"
    classes_per_client: int = Field(default=2, ge=1)
    """Number of classes of each client."""
    class_assignment_mode: Literal["random", "deterministic", "first-deterministic"] = "random"
    """How classes are chosen; ``random`` may leave a class with nobody."""


class ShardConfig(PartitionerConfig):
    """Label-sorted data cut into shards, which are dealt at random (McMahan et al. 2017)."""

    name: Literal["shard"] = "shard"
    num_shards_per_partition: int | None = Field(default=2, ge=1)
    """Shards of each client; null: as many as ``shard_size`` yields, all dealt."""
    shard_size: int | None = Field(default=None, ge=1)
    """Samples per shard; left out: what fits. Samples beyond the last shard go to nobody."""
    keep_incomplete_shard: bool = False
    """Deal the last, smaller shard too."""


class DistributionConfig(PartitionerConfig):
    """Sizes per class and holder from a given table, clients hold adjacent classes (FedProx)."""

    name: Literal["distribution"] = "distribution"
    distribution: list[list[float]]
    """One row per class, one column per holder: ``clients * classes_per_client / classes``."""
    classes_per_client: int = Field(default=2, ge=1)
    """Number of classes of each client; ``data.clients`` must be a multiple of all classes."""
    preassigned_num_samples_per_label: int = Field(default=0, ge=0)
    """Samples of each of its classes that a client gets before the table is applied."""
    rescale: bool = True
    """Scale each row to the samples that the class has; false: it holds numbers of samples."""


class ContinuousConfig(PartitionerConfig):
    """Data sorted by a real-valued column plus noise, cut into equal shares."""

    name: Literal["continuous"] = "continuous"
    column: str
    """The column."""
    strictness: float = Field(default=0.5, ge=0, le=1)
    """1: by the column alone, 0: by noise alone."""


class NaturalIdConfig(PartitionerConfig):
    """One client per value of a column; leave ``data.clients`` out."""

    finds_clients: ClassVar[bool] = True
    name: Literal["natural-id"] = "natural-id"
    column: str
    """The column, such as a writer, a camera, a speaker."""


class GroupedNaturalIdConfig(PartitionerConfig):
    """One client per group of values of a column; leave ``data.clients`` out."""

    finds_clients: ClassVar[bool] = True
    name: Literal["grouped-natural-id"] = "grouped-natural-id"
    column: str
    """The column."""
    group_size: int = Field(ge=1)
    """Values per client."""
    mode: Literal["allow-smaller", "allow-bigger", "drop-reminder", "strict"] = "allow-smaller"
    """What becomes of values left over: a smaller last client, larger first clients, dropped, or
    an error."""
    sort_unique_ids: bool = False
    """Group neighbours in sorted order; false: group at random."""


class SizeConfig(PartitionerConfig):
    """Shuffled data in shares of given sizes."""

    name: Literal["size"] = "size"
    sizes: list[_Size] = Field(min_length=1)
    """Samples per client; samples beyond their sum go to nobody."""


class LinearConfig(PartitionerConfig):
    """Client i (from 1) gets a share in proportion to i."""

    name: Literal["linear"] = "linear"


class SquareConfig(PartitionerConfig):
    """Client i (from 1) gets a share in proportion to i squared."""

    name: Literal["square"] = "square"


class ExponentialConfig(PartitionerConfig):
    """Client i (from 1) gets a share in proportion to exp(i)."""

    name: Literal["exponential"] = "exponential"
