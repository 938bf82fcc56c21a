"""The partitioners of flwr-datasets: what we read from them is what they hand out in public."""

import inspect
from typing import Any

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.data.partitioners import flwr, iid
from fedzda.platform.data.partitioners.config import IidConfig

ROWS = 400
RNG = np.random.default_rng(5)
LABELS = RNG.permutation(np.arange(ROWS) % 4)
COLUMNS = {
    "x": RNG.normal(size=ROWS),
    "user": np.array([f"u{i}" for i in RNG.integers(9, size=ROWS)]),
}

CASES: dict[str, dict[str, Any]] = {
    "flwr-dirichlet": {"alpha": 0.5, "min_partition_size": 1, "self_balancing": True},
    "flwr-inner-dirichlet": {"alpha": [0.5, 0.5, 1.0, 1.0], "sizes": [100, 200, 60, 40]},
    "flwr-pathological": {"class_assignment_mode": "deterministic"},
    "shard": {"num_shards_per_partition": 3},
    "distribution": {"distribution": [[1.0, 2.0, 3.0, 4.0]] * 4},
    "continuous": {"column": "x", "strictness": 0.8},
    "natural-id": {"column": "user"},
    "grouped-natural-id": {"column": "user", "group_size": 2, "sort_unique_ids": True},
    "size": {"sizes": [100, 200, 60]},
    "linear": {},
    "square": {},
    "exponential": {},
}
CLIENTS = 8
FEWER = {"exponential": 4}  # the first of eight would get exp(-7) of the data


def config(name: str, **changes: Any) -> Any:
    block = {"name": name, **CASES[name], **changes}
    return plugins.config_class("partitioners", name).model_validate(block)


def assign(name: str, seed: int = 0, **changes: Any) -> Any:
    rng = np.random.default_rng(seed)
    return flwr.assign(config(name, **changes), LABELS, COLUMNS, FEWER.get(name, CLIENTS), rng)


def test_all_horizontal_partitioners_of_flwr_are_offered():
    from flwr_datasets import partitioner

    there = {name for name in partitioner.__all__ if not name.startswith("Vertical")}
    assert there - {"Partitioner", "IidPartitioner", "IdToSizeFncPartitioner"} == set(
        flwr.CLASSES.values()
    )
    assert set(CASES) == set(flwr.CLASSES)


@pytest.mark.filterwarnings("ignore:The sum of partition sizes", "ignore:Specifying null_placement")
@pytest.mark.parametrize("name", CASES)
def test_our_index_is_what_load_partition_returns(name: str):
    import datasets
    from flwr_datasets import partitioner as partitioners

    ours = assign(name)
    rng = np.random.default_rng(0)
    rows = rng.permutation(ROWS)
    block = config(name)
    column = getattr(block, "column", "label")
    kind = getattr(partitioners, flwr.CLASSES[name])
    theirs = flwr._make(kind, block, column, FEWER.get(name, CLIENTS), rng)
    values = {"label": LABELS, **COLUMNS}[column][rows]
    theirs.dataset = datasets.Dataset.from_dict({"row": rows, column: values})
    assert len(ours.offsets) - 1 == theirs.num_partitions
    for client in range(theirs.num_partitions):
        rows_of_client = ours.indices[ours.offsets[client] : ours.offsets[client + 1]]
        assert theirs.load_partition(client)["row"][:] == rows_of_client.tolist()


@pytest.mark.parametrize("name", CASES)
def test_rows_are_dealt_once_and_the_seed_decides(name: str):
    first, again, other = assign(name), assign(name), assign(name, seed=1)
    assert len(np.unique(first.indices)) == len(first.indices)
    assert (first.indices == again.indices).all()
    assert not np.array_equal(first.indices, other.indices)


@pytest.mark.parametrize("name", CASES)
def test_every_option_of_the_partitioner_can_be_set(name: str):
    from flwr_datasets import partitioner

    parameters = set(inspect.signature(getattr(partitioner, flwr.CLASSES[name])).parameters)
    ours = set(type(config(name)).model_fields)
    settled = {"num_partitions", "partition_by", "seed", "shuffle"}
    assert {flwr._OUR_NAME.get(p, p) for p in parameters - settled} <= ours


def test_natural_ids_name_the_clients():
    one = assign("natural-id")
    assert one.client_ids == sorted(set(COLUMNS["user"]))
    for client, name in enumerate(one.client_ids):
        rows = one.indices[one.offsets[client] : one.offsets[client + 1]]
        assert set(COLUMNS["user"][rows]) == {name}
    grouped = assign("grouped-natural-id")
    assert grouped.client_ids == ["u0+u1", "u2+u3", "u4+u5", "u6+u7", "u8"]


def test_iid_is_flwrs_after_its_shuffle():
    import datasets
    from flwr_datasets.partitioner import IidPartitioner

    ours = iid.assign(IidConfig(), LABELS, {}, 7, np.random.default_rng(0))
    theirs = IidPartitioner(7)
    theirs.dataset = datasets.Dataset.from_dict({"row": np.random.default_rng(0).permutation(ROWS)})
    for client in range(7):
        rows = ours.indices[ours.offsets[client] : ours.offsets[client + 1]]
        assert theirs.load_partition(client)["row"][:] == rows.tolist()


def test_a_refusal_is_the_users_to_read():
    with pytest.raises(UserError, match=r"'size' does not fit the data.*greater than the size"):
        assign("size", sizes=[300, 300])
    with pytest.raises(UserError, match=r"'flwr-dirichlet' is refused.*equal to data.clients"):
        assign("flwr-dirichlet", alpha=[1.0])
    with pytest.raises(UserError, match=r"the parameter data.clients=8 for the given"):
        flwr.assign(config("exponential"), LABELS, COLUMNS, CLIENTS, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"'flwr-dirichlet' does not fit.*max number of attempts"):
        assign("flwr-dirichlet", alpha=0.01, min_partition_size=40)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]):
    assign("natural-id")
    assert capfd.readouterr() == ("", "")


def test_the_column_may_be_called_row():
    ids = np.arange(ROWS) // 50
    block = config("natural-id", column="row")
    found = flwr.assign(block, LABELS, {"row": ids}, 0, np.random.default_rng(0))
    assert sorted(found.indices.tolist()) == list(range(ROWS))
    for client, name in enumerate(found.client_ids):
        own = found.indices[found.offsets[client] : found.offsets[client + 1]]
        assert set(ids[own].tolist()) == {int(name)}


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("shard", {"num_shards_per_partition": 80}, "makes 640 shards for 8 clients, but there"),
        ("distribution", {"distribution": [[1.0], [1.0, 2.0]]}, r"different lengths \(1, 2\)"),
        ("natural-id", {"column": "gap"}, "column is 'gap', which is NaN in 100 rows"),
    ],
)
def test_what_flwr_breaks_on_is_refused(name: str, changes: Any, words: str):
    columns = {**COLUMNS, "gap": np.where(LABELS == 0, np.nan, 1.0)}
    block = config(name, **changes)
    with pytest.raises(UserError, match=words):
        flwr.assign(block, LABELS, columns, CLIENTS, np.random.default_rng(0))
