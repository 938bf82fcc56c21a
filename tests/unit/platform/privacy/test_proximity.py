"""The privacy probe flags what repeats training images, and nothing else."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fedzda.platform.privacy.proximity import nearest, probe

DIMENSIONS = 12


def real(count, seed):
    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(6, DIMENSIONS, generator=torch.Generator().manual_seed(99)) * 3
    label = torch.randint(6, (count,), generator=rng)
    return centres[label] + torch.randn(count, DIMENSIONS, generator=rng)


OWN, HELD_OUT, FRESH = real(1200, 0), real(300, 1), real(200, 2)


def figures(made):
    return probe({"made": made}, OWN, HELD_OUT, FRESH)[0]


def test_nearest_neighbours_are_exact():
    found = nearest(OWN[:300], OWN)
    assert found.index.tolist() == list(range(300))
    assert (found.distance == 0).all()
    distances = np.linalg.norm(FRESH[:, None].numpy() - OWN[None].numpy(), axis=2)
    assert nearest(FRESH, OWN).distance == pytest.approx(distances.min(axis=1), rel=1e-5)


def test_copies_of_training_images_are_flagged():
    found = figures(OWN[:400] + 0.01 * torch.randn(400, DIMENSIONS))
    assert found["flagged"]
    assert found["too_close"] == 1.0
    assert found["relative"] < 0.05
    assert found["advantage"] == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_so_are_a_few_copies_among_many_new_images(share):
    copies = int(400 * share)
    found = figures(torch.cat([OWN[:copies], real(400 - copies, 5)]))
    assert found["flagged"]


@pytest.mark.parametrize("seed", range(10, 20))
def test_new_images_of_the_same_kind_are_not(seed):
    found = figures(real(400, seed))
    assert not found["flagged"]
    assert found["relative"] == pytest.approx(1.0, abs=0.15)
    assert abs(found["advantage"]) < 0.5


def test_real_images_are_flagged_as_rarely_as_promised():
    """Digits in random splits: chance flags one in a thousand, so a single split says little."""
    pixels = torch.from_numpy(load_digits().data).float()
    found = []
    for seed in range(40):
        order = torch.randperm(1500, generator=torch.Generator().manual_seed(seed))
        own, held_out, fresh = pixels[order].split([900, 300, 300])
        found.append(probe({}, own, held_out, fresh)[0])
    assert sum(row["flagged"] for row in found) <= 1
    assert np.mean([row["advantage"] for row in found]) == pytest.approx(0.0, abs=0.06)


def test_typical_images_are_near_to_everything_and_not_flagged():
    """Class means lie nearer to training images than fresh real ones do, and give nobody away."""
    centres = torch.randn(6, DIMENSIONS, generator=torch.Generator().manual_seed(99)) * 3
    made = centres.repeat(60, 1) + 0.2 * torch.randn(
        360, DIMENSIONS, generator=torch.Generator().manual_seed(7)
    )
    found = figures(made)
    assert found["relative"] < 0.9
    assert found["too_close"] > 0.1
    assert not found["flagged"]


def test_one_image_made_a_thousand_times_is_one_observation():
    near_own = OWN[5:6] + 0.9 * torch.randn(
        1, DIMENSIONS, generator=torch.Generator().manual_seed(1)
    )
    found = figures(near_own.repeat(1000, 1))
    assert not found["flagged"]


def test_noise_is_far_from_everything():
    found = figures(30 * torch.randn(200, DIMENSIONS, generator=torch.Generator().manual_seed(3)))
    assert found["relative"] > 5
    assert (found["too_close"], found["close"], found["advantage_close"]) == (0.0, 0, None)
    assert not found["flagged"]


def test_the_floor_stands_below_the_sets():
    rows = probe({"a": OWN[:50]}, OWN, HELD_OUT, FRESH)
    assert [row["set"] for row in rows] == ["a", "fresh real images"]
    assert rows[1]["relative"] == 1.0
    assert rows[1]["too_close"] == pytest.approx(0.01)
    assert len(rows[0]["percentiles"]) == 100
    assert np.all(np.diff(rows[1]["percentiles"]) >= 0)
