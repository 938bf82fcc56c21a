"""Consistency and fidelity on clips whose figures are known."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.vision.hypercon.flow import dis
from fedzda.vision.hypercon.metrics import (
    Motion,
    clip_psnr,
    clip_ssim,
    motions,
    patch_consistency,
    warping_error,
)


def unit(frames):
    return [frame.astype(np.float32) / 255 for frame in frames]


def steps_of(count, flow=(0, 0), size=(48, 64)):
    moved = np.broadcast_to(np.float32(flow), (*size, 2)).copy()
    return [Motion(moved, np.ones(size, bool))] * count


def test_still_and_constant_clips_have_no_warping_error(still, noisy):
    assert warping_error(unit(still), motions(unit(still), dis)) == 0
    grey = [np.full((48, 64, 3), 0.5, np.float32)] * 6
    assert warping_error(grey, motions(unit(noisy), dis)) == pytest.approx(0, abs=1e-12)


def test_warping_error_by_hand():
    frames = [np.full((48, 64, 3), value, np.float32) for value in (0.1, 0.3, 0.4)]
    assert warping_error(frames, steps_of(2)) == pytest.approx((0.04 + 0.01) / 2)
    frames[1][:24] = 0.1
    half = np.zeros((48, 64), bool)
    half[:24] = True
    seen = [Motion(step.flow, half) for step in steps_of(2)]
    assert warping_error(frames, seen) == pytest.approx((0 + 0.09) / 2)


def test_the_masked_form_counts_what_starts_or_ends_in_a_hole():
    frames = [np.zeros((48, 64, 3), np.float32) for _ in range(2)]
    frames[1][:, 10] = 1.0  # seen from column 8
    hole = np.zeros((48, 64), bool)
    ends = hole.copy()
    ends[:, 10] = True
    steps = steps_of(1, (2, 0))
    assert warping_error(frames, steps, [hole, ends]) == pytest.approx(1)
    starts = hole.copy()
    starts[:, 8:12] = True
    assert warping_error(frames, steps, [starts, hole]) == pytest.approx(1 / 4)
    with pytest.raises(UserError, match="needs two frames with a pixel"):
        warping_error(frames, steps, [hole, hole])


def test_along_a_known_shift_only_the_result_counts(shifted):
    frames = unit(shifted)
    steps = list(motions(frames, dis))
    assert warping_error(frames, steps) < 1e-3
    flicker = [frame + 0.1 * (t % 2) for t, frame in enumerate(frames)]
    assert warping_error(flicker, steps) == pytest.approx(0.01, rel=0.2)


def test_a_patch_is_found_within_twenty_pixels(coffee):
    frames = [coffee[100:220, x : x + 160] / np.float32(255) for x in (200, 215)]
    assert patch_consistency(frames) == 100
    far = [coffee[100:220, x : x + 160] / np.float32(255) for x in (200, 230)]
    assert patch_consistency(far) < 40
    near_strip, far_strip = ([frame[32:88] for frame in clip] for clip in (frames, far))
    assert patch_consistency(near_strip, measure="ssim") == pytest.approx(1)  # at fewer places
    assert patch_consistency(far_strip, measure="ssim") < 0.95
    hole = np.zeros((120, 160), bool)
    hole[60, 100] = True
    assert patch_consistency(frames, [hole, hole]) == 100
    with pytest.raises(UserError, match="needs two frames, and a hole"):
        patch_consistency(frames, [~hole & hole] * 2)
    with pytest.raises(UserError, match=r"needs frames of 50 pixels on each side .got 30x20"):
        patch_consistency([frame[:20, :30] for frame in frames])


def test_fidelity():
    clip = [np.full((16, 16, 3), value, np.float32) for value in (0.5, 0.6)]
    assert clip_psnr(clip, [clip[0]] * 2) == pytest.approx((100 + 20) / 2, rel=1e-5)
    assert clip_ssim(clip, clip) == pytest.approx(1)
