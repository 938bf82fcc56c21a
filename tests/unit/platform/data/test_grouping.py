import numpy as np
import pytest

from fedzda.base import UserError, numpy_rng
from fedzda.platform.data.grouping import group_numbers, grouped_choice, split_by_group
from fedzda.platform.data.partitioners.deal import from_owner


def sides(splits, groups):
    return [set(groups[part.indices].tolist()) for part in splits]


def test_names_lose_what_the_expression_matches():
    columns = {"scene": np.array(["toy_1", "toy_12", "desk_1", "toy"])}
    assert group_numbers(columns, "scene", None).tolist() == [2, 3, 0, 1]
    assert group_numbers(columns, "scene", "_[0-9]+$").tolist() == [1, 1, 0, 1]


def test_unknown_column_and_broken_expression():
    columns = {"scene": np.array(["a"])}
    with pytest.raises(UserError, match=r"data\.group is 'scenes'.* Did you mean 'scene'\?"):
        group_numbers(columns, "scenes", None)
    with pytest.raises(UserError, match=r"data\.group_without is '\('"):
        group_numbers(columns, "scene", "(")


def test_held_out_are_whole_groups_and_enough_rows():
    groups = np.repeat(np.arange(10), 3)
    held = grouped_choice(groups, 0.1, numpy_rng(0, "x"))
    assert held.sum() == 3
    assert len(set(groups[held])) == 1
    assert not grouped_choice(np.zeros(5, dtype=int), 0.1, numpy_rng(0, "x")).any()


@pytest.mark.parametrize("seed", range(5))
def test_no_group_lies_on_two_sides_and_every_client_trains(seed):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(4), 30)
    groups = owner * 6 + rng.integers(6, size=120)
    splits = split_by_group(from_owner(owner, 4), groups, 0.25, 0.2, numpy_rng(seed, "split"))
    train, validation, test = sides(splits, groups)
    assert not (train | validation) & test
    assert not train & validation
    rows = np.concatenate([part.indices for part in splits])
    assert sorted(rows) == list(range(120))
    for part, least in zip(splits, (1, 6, 7.5), strict=True):
        assert (np.diff(part.offsets) >= least).all()
        assert (owner[part.indices] == np.repeat(np.arange(4), np.diff(part.offsets))).all()


def test_a_shared_group_is_on_one_side_for_all_its_clients():
    owner, groups = np.tile([0, 1], 20), np.repeat(np.arange(5), 8)
    splits = split_by_group(from_owner(owner, 2), groups, 0.4, 0.0, numpy_rng(0, "split"))
    train, validation, test = sides(splits, groups)
    assert (len(train), len(validation), len(test)) == (3, 0, 2)
    assert np.diff(splits.test.offsets).tolist() == [8, 8]


def test_a_client_of_one_group_only_trains():
    owner = np.array([0, 0, 0, 1, 1, 1])
    groups = np.array([7, 7, 7, 8, 9, 9])
    splits = split_by_group(from_owner(owner, 2), groups, 0.3, 0.0, numpy_rng(0, "split"))
    assert splits.train.indices[:3].tolist() == [0, 1, 2]
    assert np.diff(splits.test.offsets)[0] == 0
    assert np.diff(splits.train.offsets)[1] in (1, 2)
