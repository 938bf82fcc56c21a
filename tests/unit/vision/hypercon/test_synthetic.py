"""Synthetic clips move as they say."""

import numpy as np

from fedzda.vision.hypercon.metrics import Motion, warping_error
from fedzda.vision.hypercon.photographs import stereo_pair
from fedzda.vision.hypercon.synthetic import camera_path, moving_scene, parallax_clip


def test_a_camera_path_has_the_motion_it_says(coffee):
    clip = camera_path(coffee, 4, (60, 80), 4.0, np.random.default_rng(0))
    steps = [Motion(*pair) for pair in zip(clip.flows, clip.visible, strict=True)]
    still = [Motion(0 * step.flow, step.visible) for step in steps]
    assert np.abs(clip.flows[0]).max() > 1
    assert warping_error(clip.frames, steps) < 1e-3
    assert warping_error(clip.frames, steps) < 0.1 * warping_error(clip.frames, still)


def test_a_parallax_clip_has_the_motion_it_says():
    left, _, disparity = stereo_pair()
    part = (slice(150, 270), slice(200, 400))
    clip = parallax_clip(left[part], disparity[part], 4, 0.3)
    assert np.array_equal(clip.frames[0] * 255, left[part].astype(np.float32))
    steps = [Motion(*pair) for pair in zip(clip.flows, clip.visible, strict=True)]
    still = [Motion(0 * step.flow, step.visible) for step in steps]
    assert warping_error(clip.frames, steps) < 0.1 * warping_error(clip.frames, still)
    assert 0.8 < np.mean(clip.visible) < 1


def test_a_piece_moves_in_front(coffee):
    black = np.zeros_like(coffee)
    scene = moving_scene((black, coffee), 3, (60, 80), 6.0, np.random.default_rng(3))
    covered = [(frame > 0).any(axis=2) for frame in scene]
    assert all(0.02 < part.mean() < 0.5 for part in covered)
    assert (covered[0] != covered[2]).any()
