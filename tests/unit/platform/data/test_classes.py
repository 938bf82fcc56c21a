"""Some classes of a data set: the same clients, the same tests, fewer samples."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform.data.federation import SPLITS, prepare
from fedzda.platform.data.partitioners.config import PathologicalConfig
from fedzda.platform.data.sources.config import DigitsConfig


def digits(tmp_path, classes=None, **changes):
    config = DigitsConfig(
        clients=5,
        partition=changes.pop("partition", {"name": "iid"}),
        test_fraction=0.25,
        validation_fraction=0.1,
        classes=classes,
        **changes,
    )
    return prepare(config, 0, tmp_path)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))


def test_clients_hold_what_they_hold_among_all_classes(tmp_path):
    whole, part = digits(tmp_path), digits(tmp_path, [3, 7, 1])
    assert part.class_names == [whole.class_names[label] for label in (3, 7, 1)]
    assert (part.image.num_classes, part.num_clients) == (3, 5)
    assert (part.image.mean, part.image.std) == (whole.image.mean, whole.image.std)
    assert set(part.train) == set(whole.train)
    for split in SPLITS:
        for client in range(5):
            rows = whole.indices(client, split)
            label = whole.train["label"][rows]
            rows = rows[np.isin(label, [3, 7, 1])]
            own = part.indices(client, split)
            np.testing.assert_array_equal(part.train["image"][own], whole.train["image"][rows])
            back = np.array([3, 7, 1])[part.train["label"][own]]
            np.testing.assert_array_equal(back, whole.train["label"][rows])


def test_the_global_test_set_has_these_classes_alone(tmp_path):
    whole, part = digits(tmp_path), digits(tmp_path, [3, 7, 1])
    rows = np.isin(whole.test["label"], [3, 7, 1])
    np.testing.assert_array_equal(part.test["image"], whole.test["image"][rows])
    assert set(part.test["label"]) == {0, 1, 2}


def test_wrong_classes(tmp_path):
    with pytest.raises(UserError, match="names class 10, and the data set has 10: 0 to 9"):
        digits(tmp_path, [0, 10])
    with pytest.raises(UserError, match="must name every class once"):
        digits(tmp_path, [1, 1])
    two_each = PathologicalConfig(classes_per_client=2)
    with pytest.raises(UserError, match=r"leaves client \d nothing to train on"):
        digits(tmp_path, [0, 1], partition=two_each)
