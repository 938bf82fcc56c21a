"""Gaps between groups, held against Fairlearn wherever both define them."""

import fairlearn.metrics as theirs
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from fedzda.platform import fairness as ours

RNG = np.random.default_rng(0)
TRUE, PRED = RNG.integers(0, 2, 400), RNG.integers(0, 2, 400)
GROUP = RNG.choice(["a", "b", "c"], 400, p=[0.6, 0.3, 0.1])
CLIENT = RNG.integers(0, 5, 400)
WEIGHT = RNG.random(400)
METHODS = ["between_groups", "to_overall"]


def frames(control=None, weight=None):
    """The same frame of ours and of Fairlearn."""
    own = ours.MetricFrame(
        metrics={
            "accuracy": ours.accuracy,
            "selection": ours.selection_rate(),
            "tpr": ours.true_positive_rate(),
        },
        y_true=TRUE, y_pred=PRED, sensitive_features=GROUP, control_features=control,
        sample_weight=weight,
    )  # fmt: skip
    names = {"accuracy": accuracy_score, "selection": theirs.selection_rate,
             "tpr": theirs.true_positive_rate}  # fmt: skip
    params = None if weight is None else {name: {"sample_weight": weight} for name in names}
    other = theirs.MetricFrame(
        metrics=names, y_true=TRUE, y_pred=PRED, sensitive_features=GROUP,
        control_features=control, sample_params=params,
    )  # fmt: skip
    return own, other


def same(own, other):
    assert np.asarray(own, dtype=float) == pytest.approx(np.asarray(other, dtype=float))


@pytest.mark.parametrize("control", [None, CLIENT], ids=["global", "local"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
def test_a_frame_is_that_of_fairlearn(control, weight):
    own, other = frames(control, weight)
    assert own.by_group.index.tolist() == other.by_group.index.tolist()
    same(own.by_group, other.by_group)
    same(own.overall, other.overall)
    same(own.group_min(), other.group_min())
    same(own.group_max(), other.group_max())
    for method in METHODS:
        same(own.difference(method), other.difference(method=method))
        same(own.ratio(method), other.ratio(method=method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["demographic_parity", "equal_opportunity"])
@pytest.mark.parametrize("kind", ["difference", "ratio"])
def test_gaps_are_those_of_fairlearn(name, kind, method):
    arguments = {"sensitive_features": GROUP, "method": method}
    own = getattr(ours, name)(TRUE, PRED, **arguments)
    assert getattr(own, kind) == pytest.approx(
        getattr(theirs, f"{name}_{kind}")(TRUE, PRED, **arguments)
    )


def test_golden_values():
    """Groups of 4 and 2: selected 3/4 and 1/2, recognised 2/2 and 0/1."""
    true, pred, group = [1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1], list("aaaabb")
    assert ours.demographic_parity(true, pred, sensitive_features=group) == (0.25, 2 / 3)
    assert ours.equal_opportunity(true, pred, sensitive_features=group) == (1.0, 0.0)


def test_a_group_that_nothing_is_known_of_is_left_out():
    """Fairlearn says that group b recognises 0 of its 0 positives."""
    true, pred, group = [1, 1, 0], [1, 0, 0], ["a", "c", "b"]
    frame = ours.MetricFrame(
        metrics={"tpr": ours.true_positive_rate()}, y_true=true, y_pred=pred,
        sensitive_features=group,
    )  # fmt: skip
    assert frame.by_group["tpr"].isna().tolist() == [False, True, False]
    known = ours.equal_opportunity(true[:1] + true[2:], [1, 0], sensitive_features=["a", "b"])
    assert known.difference == 0.0


def counts_from(true, pred, group, client, classes):
    """The counts that clients would report."""
    units = sorted(set(zip(client, group, strict=True)))
    tables = np.zeros((3, len(units), classes))
    for t, p, g, c in zip(true, pred, group, client, strict=True):
        at = units.index((c, g))
        tables[0, at, t] += 1
        tables[1, at, t] += t == p
        tables[2, at, p] += 1
    return ours.GroupCounts(
        np.array([u[0] for u in units]), np.array([u[1] for u in units]), *tables
    )


def test_counts_give_the_same_as_the_predictions_themselves():
    counts = counts_from(TRUE, PRED, GROUP, CLIENT, 2)
    _, pooled = frames()
    same(counts.frame([1]).by_group, pooled.by_group)
    same(counts.frame([1]).overall, pooled.overall)
    _, local = frames(CLIENT)
    same(counts.frame([1], local=True).by_group, local.by_group)
    same(counts.frame([1], local=True).difference(), local.difference())


def test_gaps_with_and_without_a_favourable_class():
    counts = counts_from(TRUE, PRED, GROUP, CLIENT, 2)
    _, pooled = frames()
    found = counts.gaps([1])
    wanted = pooled.difference()
    assert found["accuracy"]["difference"] == pytest.approx(wanted["accuracy"])
    assert found["demographic_parity"]["difference"] == pytest.approx(wanted["selection"])
    assert found["equal_opportunity"]["difference"] == pytest.approx(wanted["tpr"])
    assert found["equal_opportunity"]["class"] == 1
    _, local = frames(CLIENT)
    assert found["accuracy"]["local_difference"] == pytest.approx(
        local.difference()["accuracy"].mean()
    )
    assert found["accuracy"]["local_worst"] == pytest.approx(local.difference()["accuracy"].max())
    assert found["accuracy"]["local_clients"] == 5
    every = counts.gaps()
    assert every["equal_opportunity"]["difference"] >= found["equal_opportunity"]["difference"]


def test_pooled_gaps_can_hide_local_ones():
    """Two clients that favour different groups, each by 100 points, pool to no gap at all."""
    held = np.full((4, 1), 10.0)
    hit = np.array([[10.0], [0.0], [0.0], [10.0]])
    counts = ours.GroupCounts(np.array([0, 0, 1, 1]), np.array(list("abab")), held, hit, held)
    found = counts.gaps()["accuracy"]
    assert found["difference"] == 0.0
    assert found["local_difference"] == 1.0


def test_clients_of_one_group_have_no_local_gap():
    held = np.full((2, 1), 4.0)
    counts = ours.GroupCounts(np.array([0, 1]), np.array(["a", "b"]), held, held / 2, held)
    found = counts.gaps()["accuracy"]
    assert found["difference"] == 0.0
    assert (found["local_difference"], found["local_clients"]) == (None, 0)


def test_frames_are_pandas_tables():
    own, _ = frames()
    assert isinstance(own.by_group, pd.DataFrame)
    assert own.by_group.index.name == "group"
    assert own.difference().index.tolist() == ["accuracy", "selection", "tpr"]


def test_a_rate_of_one_group_alone_has_no_gap():
    """Client 0 has favourable samples of group b only: nothing is known about its gap."""
    held = np.array([[10.0, 0.0], [5.0, 5.0], [5.0, 5.0], [5.0, 5.0]])
    hit = np.array([[10.0, 0.0], [5.0, 5.0], [5.0, 5.0], [5.0, 0.0]])
    units = np.array([0, 0, 1, 1]), np.array(list("abab"))
    found = ours.GroupCounts(*units, held, hit, held).gaps([1])
    recall = found["equal_opportunity"]
    assert (recall["local_difference"], recall["local_clients"]) == (1.0, 1)
    assert found["accuracy"]["local_clients"] == 2
    first = [own[:2] for own in (*units, held, hit, held)]
    recall = ours.GroupCounts(*first).gaps([1])["equal_opportunity"]
    assert set(recall.values()) == {None, 0}
    assert recall["difference"] is None
