"""What clients see: rotation, noise, colour, each a function of seed, client and image alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fedzda.base import ImageSpec, UserError
from fedzda.platform.config import TargetConfig, plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.data import portrait
from fedzda.platform.data.federation import prepare
from fedzda.platform.data.shifts.base import ClientViews
from fedzda.platform.data.shifts.colour import Colour
from fedzda.platform.data.shifts.config import ColourConfig, NoiseConfig, RotationConfig
from fedzda.platform.data.shifts.noise import Noise
from fedzda.platform.data.shifts.rotation import Rotation

IMAGE = ImageSpec((3, 6, 6), 2, (0.5,) * 3, (0.2,) * 3)
PIXELS = torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))
UNITS, ROWS = torch.arange(5) % 4, torch.tensor([7, 3, 900, 0, 41])


def raw(**data):
    shared = {"name": "digits", "clients": 8, "max_samples": 400, **data}
    return {
        "name": "x",
        "data": shared,
        "model": {"name": "lenet-bn"},
        "strategy": {"name": "fed-avg"},
    }


def views(run_seed=0, **data):
    config = from_dict(raw(**data)).data
    federation = prepare(config, run_seed, Path())
    return ClientViews(config, federation, run_seed), federation, config


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_right_angles_turn_like_rot90(quarter):
    turn = Rotation(RotationConfig(degrees=[90.0 * quarter]), 4, IMAGE, 0)
    found = turn.apply(PIXELS.clone(), UNITS, ROWS)
    assert torch.allclose(found, torch.rot90(PIXELS, quarter, (2, 3)), atol=1e-5)


def test_angles_of_a_list_are_taken_in_turn_and_of_a_number_drawn():
    listed = Rotation(RotationConfig(degrees=[0.0, 90.0]), 4, IMAGE, 0)
    found = listed.apply(PIXELS.clone(), UNITS, ROWS)
    assert torch.allclose(found[2], PIXELS[2], atol=1e-6)
    assert torch.allclose(found[1], torch.rot90(PIXELS[1], 1, (1, 2)), atol=1e-5)
    drawn = Rotation(RotationConfig(degrees=30.0), 500, IMAGE, 0).degrees
    assert np.abs(drawn).max() <= 30
    assert np.abs(drawn).mean() == pytest.approx(15, abs=1.5)
    fewer = Rotation(RotationConfig(degrees=30.0), 3, IMAGE, 0).degrees
    assert (fewer == drawn[:3]).all()  # a client's angle does not depend on the others


def test_a_wide_image_keeps_its_shape_when_turned():
    """A square in a wide image stays square at 90 degrees: axes are not stretched."""
    wide = torch.zeros(1, 1, 8, 16)
    wide[..., 2:6, 6:10] = 1.0
    image = ImageSpec((1, 8, 16), 2, (0.5,), (0.2,))
    found = Rotation(RotationConfig(degrees=[90.0]), 1, image, 0).apply(
        wide, torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    )
    assert torch.allclose(found, wide, atol=1e-5)


def test_noise_belongs_to_the_image_and_grows_with_the_client():
    noise = Noise(NoiseConfig(std=0.4), 4, IMAGE, 0)
    assert noise.std.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    whole = noise.apply(PIXELS, UNITS, ROWS)
    alone = noise.apply(PIXELS[2:3], UNITS[2:3], ROWS[2:3])
    assert torch.equal(whole[2:3], alone)  # whatever else is in the batch
    assert not torch.equal(
        whole, Noise(NoiseConfig(std=0.4), 4, IMAGE, 1).apply(PIXELS, UNITS, ROWS)
    )
    many = torch.full((4000, 3, 6, 6), 0.5)
    one = torch.zeros(4000, dtype=torch.long)
    added = noise.apply(many, one, torch.arange(4000)) - 0.5
    assert float(added.std()) == pytest.approx(0.1, rel=0.01)
    assert float(added.mean()) == pytest.approx(0.0, abs=0.001)
    assert len(torch.unique(added.flatten(1), dim=0)) == 4000
    corr = np.corrcoef(added.flatten(1)[:60].numpy())
    assert np.abs(corr - np.eye(60)).max() < 0.5  # 108 pixels: chance reaches 0.4


def test_noise_of_a_list_is_taken_in_turn():
    noise = Noise(NoiseConfig(std=[0.0, 0.3]), 4, IMAGE, 0)
    found = noise.apply(PIXELS, UNITS, ROWS)
    assert torch.equal(found[2], PIXELS[2])
    assert not torch.equal(found[1], PIXELS[1])
    assert noise.describe(1) == "noise of standard deviation 0.3"


def test_colour_multiplies_channels_within_its_reach():
    colour = Colour(ColourConfig(strength=1.0), 300, IMAGE, 0)
    assert 0.5 <= colour.gain.min() < 0.55
    assert 1.9 < colour.gain.max() <= 2.0
    found = colour.apply(PIXELS * 0.4, UNITS, ROWS)
    expected = PIXELS * 0.4 * torch.from_numpy(colour.gain)[UNITS][:, :, None, None]
    assert torch.allclose(found, expected)
    assert float(colour.apply(PIXELS, UNITS, ROWS).max()) <= 1.0


def test_images_are_seen_as_their_client_sees_them():
    seen, federation, _ = views(shift={"name": "rotation"})
    for client in (1, 6):
        rows = federation.indices(client, "train")
        pixels = torch.from_numpy(federation.train["image"][rows]).float() / 255
        expected = torch.rot90(pixels, client % 4, (2, 3))
        assert torch.allclose(seen.apply(pixels.clone(), rows), expected, atol=1e-5)


def test_the_global_test_set_is_seen_by_all_clients_in_turn():
    seen, federation, _ = views(shift={"name": "rotation"})
    rows = np.arange(12)
    pixels = torch.from_numpy(federation.test["image"][rows]).float() / 255
    found = seen.apply(pixels.clone(), rows, held=False)
    for row in rows:
        expected = torch.rot90(pixels[row], (row % 8) % 4, (1, 2))
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_a_cluster_shares_its_view():
    seen, _, _ = views(
        partition={"name": "clusters", "clusters": 2, "labels": "pool"},
        shift={"name": "colour", "by": "cluster"},
    )
    assert seen.unit.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len(seen.shift.gain) == 2


def test_the_seed_of_the_data_wins():
    same = [views(seed, seed=5, shift={"name": "colour"})[0].shift.gain for seed in (0, 1)]
    assert (same[0] == same[1]).all()
    other = [views(seed, shift={"name": "colour"})[0].shift.gain for seed in (0, 1)]
    assert (other[0] != other[1]).all()


def test_the_deal_does_not_depend_on_the_shift():
    bare = prepare(from_dict(raw()).data, 0, Path())
    _, shifted, _ = views(shift={"name": "noise"})
    assert bare.folder == shifted.folder


def test_clients_train_on_what_they_see():
    from fedzda.clients.runtime import ClientRuntime

    _, federation, _ = views(shift={"name": "rotation"})
    turned = ClientRuntime(
        plain(from_dict(raw(shift={"name": "rotation"}))), str(federation.folder), "cpu"
    )
    straight = ClientRuntime(plain(from_dict(raw())), str(federation.folder), "cpu")
    rows = np.concatenate([federation.indices(2, "train"), federation.indices(4, "test")])
    seen, plain_images = turned.batch(rows)["image"], straight.batch(rows)["image"]
    twos = len(federation.indices(2, "train"))
    assert torch.allclose(seen[:twos], torch.rot90(plain_images[:twos], 2, (2, 3)), atol=1e-4)
    assert torch.allclose(seen[twos:], plain_images[twos:], atol=1e-4)


def test_a_shift_of_the_users_own(monkeypatch, tmp_path):
    (tmp_path / "own_shift.py").write_text(
        "class Dark:\n"
        "    def __init__(self, num_units, image, seed, factor):\n"
        "        self.factor = factor\n"
        "    def apply(self, pixels_NCHW, unit_N, row_N):\n"
        "        return pixels_NCHW * self.factor\n"
        "    def describe(self, unit):\n"
        "        return f'times {self.factor}'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    seen, federation, config = views(shift={"target": "own_shift:Dark", "args": {"factor": 0.5}})
    assert isinstance(config.shift, TargetConfig)
    rows = federation.indices(0, "train")
    pixels = torch.ones(len(rows), 1, 8, 8)
    assert float(seen.apply(pixels, rows).max()) == 0.5
    with pytest.raises(UserError, match="own_shift:Dark' cannot be called with"):
        views(shift={"target": "own_shift:Dark"})


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"shift": {"name": "rotation", "by": "cluster"}}, "makes none. Set it to 'clusters'"),
        ({"shift": {"name": "rotatoin"}}, "Did you mean 'rotation'"),
        ({"shift": {"name": "noise", "std": 2.0}}, "less than or equal to 1"),
        ({"shift": {"name": "colour", "strength": 0.0}}, "greater than 0"),
    ],
)
def test_wrong_shifts_are_refused(data, match):
    with pytest.raises(UserError, match=match):
        from_dict(raw(**data))


def test_portrait_of_a_shifted_federation(tmp_path):
    _, federation, config = views(
        partition={"name": "clusters", "clusters": 2, "labels": "classes"},
        shift={"name": "rotation", "degrees": [0.0, 90.0], "by": "cluster"},
    )
    portrait.write(tmp_path, federation, config, 0)
    found = json.loads((tmp_path / portrait.FILE).read_text())
    assert found["clusters"] == [0] * 4 + [1] * 4
    assert [view["says"] for view in found["views"]] == ["not turned", "turned by 90°"]
    assert [view["clients"] for view in found["views"]] == [4, 4]
    assert found["pixel_distance"] > 2 * found["pixel_distance_even"]
    assert found["label_distance"] == pytest.approx(0.5, abs=0.02)
    for view in found["views"]:
        with Image.open(tmp_path / view["file"]) as strip:
            assert strip.size == (10 * 10 * 6, 10 * 6)  # ten images of 8 + 2 pixels, six times
    rows = portrait.one_per_class(federation, 0)
    labels = federation.train["label"][rows]
    held = np.unique(federation.train["label"][federation.indices(0, "train")])
    assert labels[: len(held)].tolist() == held.tolist()
