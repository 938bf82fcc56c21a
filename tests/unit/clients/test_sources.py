"""Data sets that are made from what scikit-image and scikit-learn ship."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.clients.sources.config import ParallaxConfig, PhotographsConfig
from fedzda.clients.sources.parallax import load as load_parallax
from fedzda.clients.sources.photographs import TESTED, photographs
from fedzda.clients.sources.photographs import load as load_photographs

pytest.importorskip("skimage")


def test_every_camera_has_pieces_of_every_photograph(tmp_path):
    config = PhotographsConfig(cameras=3, edge=64, pieces=2)
    tables = load_photographs(config, tmp_path).read()
    train = tables.train
    assert train.images.shape[1:] == (64, 64, 3)
    assert train.images.dtype == np.uint8
    held = set(zip(train.columns["camera"], train.columns["photograph"], strict=True))
    names = set(photographs()) - {TESTED}
    assert held == {(f"camera-{k}", name) for k in range(3) for name in names}
    assert len(np.unique(train.images.reshape(len(train.images), -1), axis=0)) == len(train.images)
    assert len(tables.test.images) > 0
    assert tables.class_names == ["image"]


def test_a_piece_is_the_mean_of_squares(tmp_path):
    config = PhotographsConfig(cameras=1, edge=64, shrink=4, pieces=1)
    tables = load_photographs(config, tmp_path).read()
    row = list(tables.train.columns["photograph"]).index("astronaut")
    corner = photographs()["astronaut"][:256, :256].astype(float)
    expected = np.rint(corner.reshape(64, 4, 64, 4, 3).mean((1, 3)))
    assert np.array_equal(tables.train.images[row], expected.astype(np.uint8))


def test_pieces_may_be_too_large(tmp_path):
    with pytest.raises(UserError, match=r"data\.edge is 256 with data\.shrink 4"):
        load_photographs(PhotographsConfig(edge=256, shrink=4), tmp_path).read()


def test_there_may_be_too_many_cameras(tmp_path):
    """Of the largest photograph there are 24 pieces."""
    config = PhotographsConfig(cameras=200, edge=128, shrink=1)
    with pytest.raises(UserError, match=r"data\.cameras is 200, and no .* than \d+ pieces of"):
        load_photographs(config, tmp_path).read()


def test_clips_have_motions_of_their_own(tmp_path):
    config = ParallaxConfig(clips=3, frames=4, height=48, width=64)
    tables = load_parallax(config, tmp_path).read()
    train = tables.train
    assert not (train.images == tables.test.images[:1]).all(axis=(1, 2, 3)).any()
    assert train.images.shape == (12, 48, 64, 3)
    assert train.columns["clip"].tolist() == [f"clip-{k}" for k in range(3) for _ in range(4)]
    clips = train.images.reshape(3, 4, 48, 64, 3).astype(float)
    change = np.abs(np.diff(clips, axis=1)).mean(axis=(1, 2, 3, 4))
    assert (change > 1).all()
    assert len(set(change.round(6))) == 3
    again = load_parallax(config, tmp_path).read().train
    assert np.array_equal(again.images, train.images)


def test_a_clip_is_no_longer_than_the_scene(tmp_path):
    with pytest.raises(UserError, match=r"lower data\.frames, data\.speed or the size"):
        load_parallax(ParallaxConfig(frames=400), tmp_path).read()
    with pytest.raises(UserError, match=r"data\.speed is \[3\.0, 1\.0\]"):
        load_parallax(ParallaxConfig(speed=[3.0, 1.0]), tmp_path)
