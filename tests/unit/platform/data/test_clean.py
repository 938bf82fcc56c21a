"""Noisy images with clean counterparts, from Parquet to a federation."""

import numpy as np
import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.platform.data.federation import prepare
from fedzda.platform.data.partitioners.config import IidConfig, NaturalIdConfig
from fedzda.platform.data.shifts.base import ClientViews
from fedzda.platform.data.shifts.config import NoiseConfig
from fedzda.platform.data.sources.config import ParquetConfig


def pixels(seed, shape=(6, 5, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def pairs(tmp_path, png):
    """Writes pairs, twelve by default: two cameras, three scenes each, two shots of every scene."""

    def write(noisy=None, clean=None, size=12, name="pairs.parquet"):
        noisy = noisy or [pixels(i) for i in range(size)]
        clean = clean or [pixels(100 + i) for i in range(size)]
        columns = {
            "noisy": [{"bytes": png(p), "path": f"n{i}.png"} for i, p in enumerate(noisy)],
            "clean": [{"bytes": png(p), "path": f"c{i}.png"} for i, p in enumerate(clean)],
            "camera": [f"cam{i // 6}" for i in range(len(noisy))],
            "scene": [f"scene{i // 2}_{i % 2}" for i in range(len(noisy))],
        }
        path = tmp_path / name
        pd.DataFrame(columns).to_parquet(path)
        return str(path)

    return write


def config(path, **given):
    given = {"noisy": "noisy", "clean": "clean", "clients": 2, **given}
    return ParquetConfig(path=path, **given)


def test_pairs_stay_pairs_and_scenes_on_one_side(pairs, tmp_path):
    partition = NaturalIdConfig(name="natural-id", column="camera")
    block = config(
        pairs(), partition=partition, group="scene", group_without="_.$", test_fraction=0.3
    )
    found = prepare(block, 0, tmp_path)
    assert found.image.shape == (3, 6, 5)
    assert found.class_names == ["image"]
    both = [np.concatenate([found.train[n], found.test[n]]) for n in ("image", "clean")]
    numbers = []
    for noisy, clean in zip(*both, strict=True):
        number = next(i for i in range(12) if np.array_equal(noisy, pixels(i).transpose(2, 0, 1)))
        assert np.array_equal(clean, pixels(100 + number).transpose(2, 0, 1))
        numbers.append(number)
    assert sorted(numbers) == list(range(12))
    scene = np.array(numbers) // 2
    held = len(found.train["image"])
    assert not set(scene[:held]) & set(scene[held:])
    for client in range(2):
        rows = [set(scene[found.indices(client, split)]) for split in ("train", "test")]
        assert rows[0]
        assert not rows[0] & rows[1]


def test_both_are_resized_and_turned_grey(pairs, tmp_path):
    found = prepare(config(pairs(), size=4, channels=1), 0, tmp_path)
    assert found.train["image"].shape[1:] == found.train["clean"].shape[1:] == (1, 4, 4)


def test_one_pair_is_enough_to_train(pairs, tmp_path):
    found = prepare(config(pairs(size=1), clients=1), 0, tmp_path)
    assert found.sizes("train").tolist() == [1]
    assert found.sizes("test").tolist() == [0]


def test_other_size_is_named(pairs, tmp_path):
    clean = [pixels(i) for i in range(11)] + [pixels(11, (6, 6, 3))]
    with pytest.raises(UserError, match=r"row 11 has 6x5 pixels .*row 11 6x6: both must have one"):
        prepare(config(pairs(clean=clean)), 0, tmp_path)


def test_grey_counterparts_of_colour_images(pairs, tmp_path):
    clean = [pixels(i, (6, 5)) for i in range(12)]
    with pytest.raises(UserError, match=r"shape \(1, 6, 5\).*set data\.channels"):
        prepare(config(pairs(clean=clean)), 0, tmp_path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"clean": "clear"}, r"data\.clean is 'clear', but .* Did you mean 'clean'\?"),
        ({"noisy": "noise"}, r"data\.noisy is 'noise'.* Did you mean 'noisy'\?"),
        ({"clean": "camera"}, r"data\.clean is 'camera', a column of .*string"),
        ({"clean": None}, r"data\.noisy is 'noisy', which goes with data\.clean"),
        ({"noisy": None}, r"data\.clean is 'clean', but data\.noisy names no column"),
        ({"group": "scenes"}, r"data\.group is 'scenes'.* Did you mean 'scene'\?"),
        ({"group": "scene", "split": "blocks"}, "data.split is 'blocks' and data.group"),
    ],
)
def test_wrong_columns(pairs, tmp_path, given, sentence):
    with pytest.raises(UserError, match=sentence):
        prepare(config(pairs(), **given), 0, tmp_path)


def test_images_without_labels(pairs, tmp_path):
    block = ParquetConfig(
        path=pairs(), image="clean", label=None, clients=3, partition=IidConfig(name="iid")
    )
    found = prepare(block, 0, tmp_path)
    assert "clean" not in found.train
    assert set(found.train["label"].tolist()) == {0}


def test_a_shift_would_change_one_of_the_two(pairs, tmp_path):
    block = config(pairs())
    found = prepare(block, 0, tmp_path)
    shifted = block.model_copy(update={"shift": NoiseConfig()})
    with pytest.raises(UserError, match=r"data\.shift is 'noise'.*clean counterparts"):
        ClientViews(shifted, found, 0)
