"""The convention of warps and flows, on shifts that are known."""

import numpy as np
import pytest
import torch

from fedzda.base import UserError
from fedzda.vision.hypercon.flow import make_flow
from fedzda.vision.hypercon.occlusion import disagreement, likeness, motion_border, occluded
from fedzda.vision.hypercon.photographs import stereo_pair
from fedzda.vision.hypercon.warp import in_view, resized_flow, warp, warp_batch


def constant(x, y, height=20, width=30):
    return np.broadcast_to(np.float32([x, y]), (height, width, 2)).copy()


def test_a_flow_of_one_reads_one_pixel_further_right():
    ramp = np.broadcast_to(np.arange(30, dtype=np.float32), (20, 30)).copy()
    assert np.array_equal(warp(ramp, constant(1, 0))[:, :-1], ramp[:, :-1] + 1)
    assert np.array_equal(warp(ramp, constant(1, 0))[:, -1], ramp[:, -1])  # the border repeats
    assert np.allclose(warp(ramp, constant(0.25, 0))[:, :-1], ramp[:, :-1] + 0.25, atol=1e-5)
    assert np.array_equal(warp(ramp.T.copy(), constant(0, 1, 30, 20))[:-1], ramp.T[:-1] + 1)


def test_pixels_outside_are_not_in_view():
    seen = in_view(constant(2, -1))
    assert seen[1:, :-2].all()
    assert not seen[0].any()
    assert not seen[:, -2:].any()


def test_both_warps_agree(coffee):
    frame = coffee[:40, :56].astype(np.float32) / 255
    flow = np.random.default_rng(0).normal(0, 6, (40, 56, 2)).astype(np.float32)
    batch = [torch.from_numpy(part.transpose(2, 0, 1))[None] for part in (frame, flow)]
    other = warp_batch(*batch)[0].permute(1, 2, 0).numpy()
    assert np.abs(warp(frame, flow) - other).max() < 1e-4


def test_a_resized_flow_is_the_same_motion():
    assert np.allclose(resized_flow(constant(1, 2), 40, 90), constant(3, 4, 40, 90))


@pytest.mark.parametrize("name", ["dis-medium", "dis-fast", "tv-l1", "ilk"])
def test_a_shift_of_three_pixels_is_found(coffee, name):
    first, second = coffee[100:180, 200:320], coffee[100:180, 203:323]
    flow = make_flow(name)(np.ascontiguousarray(first), np.ascontiguousarray(second))
    assert flow.dtype == np.float32
    error = np.abs(flow[16:-16, 16:-16] - [-3, 0])
    assert error.mean() < (0.2 if name == "dis-fast" else 0.1)


def test_farneback_finds_the_direction(coffee):
    first, second = coffee[100:180, 200:320].copy(), coffee[100:180, 201:321].copy()
    flow = make_flow("farneback")(first, second)
    assert np.abs(np.median(flow[16:-16, 16:-16], axis=(0, 1)) - [-1, 0]).max() < 0.3
    assert not make_flow("zero")(first, second).any()


def test_end_point_error_on_the_stereo_pair():
    left, right, disparity = stereo_pair()
    known = disparity > 0
    flow = make_flow("dis-medium")(left, right)
    error = np.hypot(flow[:, :, 0] + disparity, flow[:, :, 1])[known]
    assert error.mean() == pytest.approx(2.63, rel=0.1)
    assert np.median(error) == pytest.approx(0.41, rel=0.1)
    assert (error > 3).mean() == pytest.approx(0.168, rel=0.1)


def test_occlusion_rule():
    nothing = constant(0, 0)
    assert not occluded(nothing, nothing).any()
    assert not disagreement(constant(4, 0), constant(-4, 0)).any()
    # |F + B|^2 = 9 against .01 (16 + 1) + .5
    assert disagreement(constant(4, 0), constant(-1, 0)).all()
    step = nothing
    step[:, 15:] = [3, 0]
    border = motion_border(step)
    assert border[:, 14].all()  # 9 > .01 * 0 + .002
    assert border.sum() == 20


def test_likeness_is_one_where_frames_agree(coffee):
    first, second = coffee[100:140, 200:260], coffee[100:140, 203:263]
    flow = constant(-3, 0, 40, 60)
    assert likeness(first, second, flow, 200, 1.5)[:, 12:].min() == 1
    assert likeness(first, 255 - second, flow, 200, 1.5).mean() < 0.2


def test_what_a_method_cannot_do_is_a_sentence(tmp_path):
    small = np.zeros((8, 40, 3), np.uint8)
    with pytest.raises(UserError, match=r"at least 12 pixels on each side .got 40x8"):
        make_flow("dis-medium")(small, small)
    with pytest.raises(UserError, match=r"'raft' needs (torchvision|weights)"):
        make_flow("raft", str(tmp_path / "no.safetensors"))
