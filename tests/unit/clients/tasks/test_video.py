import pytest
import torch

from fedzda.base import ImageSpec, UserError
from fedzda.vision.hypercon.config import HyperConConfig

pytest.importorskip("cv2")
pytest.importorskip("skimage")

from fedzda.clients.tasks.video import clip_figures
from fedzda.clients.tasks.video_checks import check_video

CONFIG = HyperConConfig(inserted=0, half_window=1)


def still(frames=4, sigma=0.1):
    """A clip in which nothing moves, and its noisy form."""
    rng = torch.Generator().manual_seed(0)
    scene = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 8, generator=rng), size=(36, 48), mode="bilinear"
    )
    return [(scene + sigma * torch.randn(scene.shape, generator=rng), scene) for _ in range(frames)]


def test_neighbours_make_a_still_clip_better_in_both_ways():
    found = clip_figures(still(), lambda frame: frame.clamp(0, 1), CONFIG)
    assert found["frames"] == 4
    assert found["warping_error"] < 0.6 * found["warping_error_framewise"]
    assert found["fidelity"] > found["fidelity_framewise"] + 2


def test_the_truth_has_no_error():
    pairs = still(sigma=0.0)
    found = clip_figures(pairs, lambda frame: frame, CONFIG)
    assert found["warping_error_framewise"] == pytest.approx(0.0, abs=1e-12)
    assert found["fidelity_framewise"] == 100.0


def test_without_a_window_hypercon_is_frame_by_frame():
    found = clip_figures(still(), lambda f: f.clamp(0, 1), HyperConConfig(half_window=0))
    assert found["warping_error"] == found["warping_error_framewise"]
    assert found["fidelity"] == found["fidelity_framewise"]


def test_grey_clips_and_single_frames():
    grey = [(noisy[:, :1], clean[:, :1]) for noisy, clean in still()]
    found = clip_figures(grey, lambda frame: frame.clamp(0, 1), CONFIG)
    assert found["fidelity"] > found["fidelity_framewise"]
    assert clip_figures(still(1), lambda frame: frame, CONFIG) == {}


def test_frames_must_hold_a_flow():
    with pytest.raises(UserError, match=r"task\.video needs frames of 12 pixels"):
        check_video(ImageSpec((3, 11, 40), 1, (0.0,) * 3, (1.0,) * 3), CONFIG)


def test_a_flow_without_weights_is_said_before_the_first_round():
    image = ImageSpec((3, 24, 40), 1, (0.0,) * 3, (1.0,) * 3)
    check_video(image, CONFIG)
    with pytest.raises(UserError, match="flow 'raft' needs"):
        check_video(image, HyperConConfig(flow="raft"))
