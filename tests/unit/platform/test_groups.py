"""Groups of clients and samples, from the configuration to summary.json."""

import numpy as np
import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import prepare
from fedzda.platform.groups import client_groups, counts_of, positive_class, summarise_groups
from fedzda.platform.simulation import Simulation

NAMES = ["cat", "dog"]


@pytest.fixture
def npz(tmp_path, monkeypatch):
    """240 images of two classes from three cameras; camera c images brighter than camera a's."""
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    label, camera = rng.integers(0, 2, 240), rng.integers(0, 3, 240)
    images = (
        rng.integers(0, 90, (240, 8, 8)) + 70 * label[:, None, None] * (camera < 2)[:, None, None]
    )
    path = tmp_path / "toy.npz"
    np.savez(
        path,
        image=images.astype(np.uint8),
        label=np.array(NAMES)[label],
        camera=np.array(["a", "b", "c"])[camera],
        age=np.arange(240),
    )
    return path


def config(npz, groups, **data) -> SimulationConfig:
    return from_dict({
        "name": "groups",
        "rounds": 2,
        "data": {"name": "arrays", "path": str(npz), "clients": 4, "test_fraction": 0.3, **data},
        "model": {"name": "lenet-bn"},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "evaluate": {"groups": groups},
        "output": str(npz.parent / "runs"),
        "report": False,
    })  # fmt: skip


def groups_of(wanted):
    return client_groups(wanted, prepare(wanted.data, wanted.seed, None))


def test_an_attribute_groups_samples_and_clients_by_majority(npz):
    wanted = config(npz, {"by": "attribute"}, attribute="camera")
    federation = prepare(wanted.data, 0, npz.parent)
    found = client_groups(wanted, federation)
    assert found.names == ["a", "b", "c"]
    column = federation.train["camera"]
    assert np.array(found.names)[found.row].tolist() == column.tolist()
    for client in range(4):
        rows = np.concatenate([federation.indices(client, s) for s in ("train", "test")])
        values, counts = np.unique(column[rows], return_counts=True)
        assert found.names[found.client[client]] == values[counts.argmax()]


def test_majority_label_and_device(npz):
    wanted = config(npz, {"by": "majority-label"})
    federation = prepare(wanted.data, 0, npz.parent)
    found = client_groups(wanted, federation)
    assert found.names == NAMES
    assert found.client.tolist() == federation.label_counts("train").argmax(axis=1).tolist()
    rows = federation.indices(2, "test")
    assert set(found.row[rows]) == {found.client[2]}
    device = client_groups(config(npz, {"by": "device"}), federation)
    assert (device.names, set(device.client)) == (["uniform"], {0})


def test_no_groups_no_cost(npz):
    wanted = from_dict({**config(npz, {"by": "device"}).model_dump(mode="json"), "evaluate": {}})
    assert client_groups(wanted, prepare(wanted.data, 0, npz.parent)) is None


def test_wrong_groups_are_refused(npz):
    with pytest.raises(UserError, match=r"'data\.attribute' names no column"):
        config(npz, {"by": "attribute"})
    with pytest.raises(UserError, match=r"by' is 'majority'\. Choose one of: attribute"):
        config(npz, {"by": "majority"})
    wanted = config(npz, {"by": "attribute"}, attribute="age")
    with pytest.raises(UserError, match=r"'age', which has 216 values: at most 50"):
        client_groups(wanted, prepare(wanted.data, 0, npz.parent))
    with pytest.raises(UserError, match=r"data\.attribute is 'camra'.*Did you mean 'camera'"):
        prepare(config(npz, {"by": "attribute"}, attribute="camra").data, 0, npz.parent)


def test_the_favourable_class_by_number_and_name(npz):
    for value, found in ((1, 1), ("dog", 1), (None, None)):
        wanted = config(npz, {"by": "device", "positive": value})
        assert positive_class(wanted, NAMES) == found
    for value in (2, "cow", -1):
        with pytest.raises(UserError, match=rf"positive is '{value}', which is no class"):
            positive_class(config(npz, {"by": "device", "positive": value}), NAMES)


def rows_of(client, group, **counts):
    """Rows of one client as the recorder writes them."""
    shared = {"client": client, "num_examples": 10, "group": NAMES[client % 2]}
    return [
        {**shared, "metric": f"group/{group}/{what}/{label}", "value": float(value)}
        for what, values in counts.items()
        for label, value in enumerate(values)
        if value
    ] + [{**shared, "metric": "accuracy", "value": 0.5 + client / 10}]


def test_counts_come_back_from_the_table():
    table = pd.DataFrame(
        [*rows_of(3, 0, held=[4, 6], hit=[4, 3], predicted=[7, 3]),
         *rows_of(3, 1, held=[0, 2], hit=[0, 2], predicted=[0, 2]),
         *rows_of(5, 1, held=[5, 5], hit=[0, 5], predicted=[0, 10])]
    )  # fmt: skip
    counts = counts_of(table, ["x", "y"], 2)
    assert counts.client.tolist() == [3, 3, 5]
    assert counts.group.tolist() == ["x", "y", "y"]
    assert counts.held.tolist() == [[4, 6], [0, 2], [5, 5]]
    assert counts.hit.tolist() == [[4, 3], [0, 2], [0, 5]]
    assert counts.predicted.tolist() == [[7, 3], [0, 2], [0, 10]]
    found = summarise_groups(table, ["x", "y", "z"], NAMES, 0)
    assert list(found["groups"]) == ["x", "y"]
    assert found["groups"]["x"]["accuracy"] == pytest.approx(0.7)
    assert found["groups"]["y"]["selection_rate"] == 0.0
    assert found["groups"]["y"]["samples"] == 12
    assert found["gaps"]["demographic_parity"]["difference"] == pytest.approx(0.7)
    assert found["gaps"]["equal_opportunity"]["class"] == "cat"
    assert found["gaps"]["accuracy"]["local_clients"] == 1
    assert found["gaps"]["accuracy"]["local_difference"] == pytest.approx(0.3)


def test_a_run_reports_its_groups(npz):
    wanted = config(npz, {"by": "attribute", "positive": "dog"}, attribute="camera")
    simulation = Simulation.build(wanted, folder=npz.parent)
    run = simulation.run()
    found = run.summary["groups"]
    assert (found["by"], found["attribute"], found["positive"]) == ("attribute", "camera", "dog")
    assert sum(group["clients"] for group in found["groups"].values()) == 4
    federation = simulation.federation
    tested = federation.sizes("test").sum()
    assert sum(group["samples"] for group in found["groups"].values()) == tested
    table = run.clients
    last = table[(table["round"] == 2) & (table.phase == "evaluate") & (table.metric == "accuracy")]
    assert set(last.group) <= {"a", "b", "c"}
    pooled = (last.value * last.num_examples).sum() / last.num_examples.sum()
    weights = [group["samples"] for group in found["groups"].values()]
    by_group = [group["accuracy"] for group in found["groups"].values()]
    assert np.average(by_group, weights=weights) == pytest.approx(pooled)
    assert found["gaps"]["accuracy"]["local_clients"] == 4
    assert run.summary["metrics"].keys() == {"accuracy", "loss"}


def test_counting_changes_nothing_else(npz):
    """Weights and figures of a run are the same with and without groups."""
    with_groups = Simulation.build(config(npz, {"by": "majority-label"}), folder=npz.parent).run()
    bare = config(npz, {"by": "majority-label"}).model_dump(mode="json")
    bare["evaluate"] = {}
    without = Simulation.build(from_dict(bare), folder=npz.parent).run()
    assert with_groups.summary["metrics"] == without.summary["metrics"]
    assert without.summary["groups"] is None
    for (name, one), two in zip(
        with_groups.model().state_dict().items(), without.model().state_dict().values(), strict=True
    ):
        assert (one == two).all(), name
