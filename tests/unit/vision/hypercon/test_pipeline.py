"""The identities of the method, masks, streaming, and input that does not fit."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import as_hole
from fedzda.vision.hypercon.config import HyperConConfig
from fedzda.vision.hypercon.flow import dis, zero
from fedzda.vision.hypercon.image_models.classic import bilateral, posterise, telea
from fedzda.vision.hypercon.interpolate import Between, FlowInterpolator, hole_between
from fedzda.vision.hypercon.metrics import clip_psnr, motions, warping_error
from fedzda.vision.hypercon.pipeline import HyperCon, fill, hypercon
from fedzda.vision.hypercon.synthetic import camera_path
from fedzda.vision.hypercon.video import ClipWriter, read_clip

POOLS = ["mean", "median", "medoid"]


def unit(frames):
    return [frame.astype(np.float32) / 255 for frame in frames]


def same(first, second, tolerance=0.0):
    return all(np.abs(a - b).max() <= tolerance for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("inserted", [0, 1, 3])
def test_window_zero_is_frame_by_frame(noisy, inserted):
    found = list(hypercon(noisy, bilateral, inserted, window=0))
    assert same(found, [bilateral(frame) for frame in unit(noisy)])


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize("weighting", ["in-view", "occlusion", "photometric"])
def test_a_still_clip_is_frame_by_frame(still, pooling, weighting):
    found = list(hypercon(still, bilateral, 1, 2, 1, pooling, weighting=weighting))
    assert same(found, [bilateral(frame) for frame in unit(still)], 1e-6)
    found = list(hypercon(still, lambda frame: frame, 1, 2, 1, pooling, weighting=weighting))
    assert same(found, unit(still), 1e-6)


def test_only_the_span_matters(noisy):
    assert same(hypercon(noisy, bilateral, 3, 2, 2), hypercon(noisy, bilateral, 1, 2, 1))


@pytest.mark.parametrize(("inserted", "window"), [(1, 1), (3, 1), (3, 2), (3, 3)])
def test_windows_shorter_than_a_gap_have_both_their_sides(shifted, inserted, window):
    """The middle frame of three is the mean of inserted frames from both gaps."""
    clip = [np.full_like(shifted[0], value) for value in (0, 90, 0)]
    config = HyperConConfig(inserted=inserted, half_window=window, weighting="in-view")
    found = list(HyperCon(config, zero).run(clip, lambda frame: frame))[1] * 255
    step = inserted + 1
    weights = [1 - abs(place) / step for place in range(-window, window + 1)]
    assert found.mean() == pytest.approx(90 * np.mean(weights), abs=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_short_clips(noisy, count):
    found = list(hypercon(noisy[:count], posterise))
    assert len(found) == count
    if count == 1:
        assert same(found, [posterise(unit(noisy)[0])])


def test_with_true_motion_an_integer_shift_is_undone(shifted):
    def truth(first, second):
        steps = [t for t, frame in enumerate(shifted) if np.array_equal(frame, first)]
        ends = [t for t, frame in enumerate(shifted) if np.array_equal(frame, second)]
        flow = np.zeros((*first.shape[:2], 2), np.float32)
        flow[:, :, 0] = -3 * (ends[0] - steps[0])
        return flow

    config = HyperConConfig(inserted=0, half_window=2, weighting="in-view")
    found = list(HyperCon(config, truth).run(shifted, lambda frame: frame))
    assert same(found, unit(shifted), 1e-6)


def test_flicker_goes_and_interpolation_helps(coffee):
    clip = camera_path(coffee, 10, (64, 80), 3.0, np.random.default_rng(1)).frames
    rng = np.random.default_rng(0)
    seen = [np.clip(f + rng.normal(0, 12 / 255, f.shape), 0, 1) for f in clip]
    steps = list(motions(clip, dis))
    truth = [posterise(frame) for frame in clip]
    runs = {
        name: list(hypercon(seen, posterise, *sizes))
        for name, sizes in {"each": (0, 0), "plain": (0, 1), "hypercon": (1, 2)}.items()
    }
    error = {name: warping_error(run, steps) for name, run in runs.items()}
    assert error["hypercon"] < 0.3 * error["each"]
    assert error["hypercon"] < 0.9 * error["plain"]
    assert clip_psnr(runs["hypercon"], truth) > clip_psnr(runs["each"], truth) + 1


def test_a_medoid_keeps_the_colours_of_the_model(noisy):
    """On a still camera nothing is resampled, so every colour is one that the model made."""
    config = HyperConConfig(pool="medoid")
    found = list(HyperCon(config, zero).run(noisy, posterise))
    assert np.abs(np.stack(found) * 5 - np.round(np.stack(found) * 5)).max() < 1e-5


def test_the_flow_may_be_seen_on_translated_frames(noisy):
    found = list(hypercon(noisy, bilateral, flow_on="translated"))
    assert clip_psnr(found, [bilateral(frame) for frame in unit(noisy)]) > 25


def test_a_model_may_enlarge(noisy):
    def double(frame):
        return frame.repeat(2, axis=0).repeat(2, axis=1)

    found = list(hypercon(noisy, double, scale=2))
    assert {frame.shape for frame in found} == {(96, 128, 3)}
    plain = list(hypercon(noisy, lambda frame: frame))
    assert clip_psnr(found, [double(frame) for frame in plain]) > 30


# ---------------------------------------------------------------------------------------------
# Streaming


def test_frames_come_as_soon_as_their_window_is_complete(noisy):
    read, translated = [], []

    def source():
        for index, frame in enumerate(noisy):
            read.append(index)
            yield frame

    def model(frame):
        translated.append(1)
        return frame

    run = hypercon(source(), model, 1, 2, 1)
    next(run)
    assert read == [0, 1]
    assert len(list(run)) == 5
    assert len(translated) == 11
    translated.clear()
    list(hypercon(noisy, model, 3, 2, 2))
    assert len(translated) == 11  # every second position is in no window


# ---------------------------------------------------------------------------------------------
# Masks


def holes(count):
    made = np.zeros((count, 48, 64), bool)
    made[:, 15:30, 20:40] = True
    return list(made)


def test_holes_only_grow_between_frames(shifted):
    first, second = unit(shifted[:2])
    for s in (0.25, 0.5, 0.75):
        made = FlowInterpolator(dis)(first, second, [s])[0]
        hole = hole_between(holes(1)[0], holes(1)[0], made)
        assert hole.sum() > holes(1)[0].sum()
        nothing = np.zeros((48, 64), bool)
        assert not hole_between(nothing, nothing, made).any()
    rest = np.zeros((48, 64, 2), np.float32)
    assert np.array_equal(
        hole_between(holes(1)[0], holes(1)[0], Between(first, rest, rest)), hole_of_rest()
    )


def hole_of_rest():
    return holes(1)[0]


@pytest.mark.parametrize("known_only", [False, True])
def test_known_pixels_stay_and_the_placeholder_is_never_seen(shifted, known_only):
    found, seen = {}, []
    for placeholder in (0, 255):
        clip = [frame.copy() for frame in shifted]
        for frame, hole in zip(clip, holes(6), strict=True):
            frame[hole] = placeholder

        def model(frame, hole):
            seen.append(hole.sum())
            return telea(frame, hole)

        settings = {"masks": holes(6), "known_only": known_only}
        found[placeholder] = list(hypercon(clip, model, **settings))
    assert same(found[0], found[255])
    assert min(seen) == 15 * 20
    assert max(seen) > 15 * 20
    for frame, truth, hole in zip(found[0], unit(shifted), holes(6), strict=True):
        assert np.array_equal(frame[~hole], truth[~hole])
        assert (frame[hole] != truth[hole]).any()


def test_known_pixels_of_neighbours_fill_a_hole(shifted):
    """A hole in one frame only: the neighbours know what is behind it."""
    masks = np.zeros((6, 48, 64), bool)
    masks[3, 20:26, 30:36] = True
    runs = {
        known: list(hypercon(shifted, telea, masks=masks, known_only=known))[3][masks[3]]
        for known in (False, True)
    }
    truth = unit(shifted)[3][masks[3]]
    error = {known: np.abs(run - truth).mean() for known, run in runs.items()}
    assert error[True] < error[False]


def test_filling_takes_8_bit_masks_and_leaves_whole_frames_alone(shifted):
    frame = unit(shifted)[0]
    assert fill(frame, np.zeros((48, 64), bool)) is frame
    masks = [hole * np.uint8(255) for hole in holes(6)]
    assert same(hypercon(shifted, telea, masks=masks), hypercon(shifted, telea, masks=holes(6)))


# ---------------------------------------------------------------------------------------------
# Input that does not fit


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"video": lambda v: [*v[:2], v[2][:40]]}, "frame 2 of the video is 64x40 pixels, the fir"),
        ({"video": lambda v: [v[0][:, :, :2]]}, "frame 0 of the video has shape .48, 64, 2."),
        ({"video": lambda v: [v[0] / np.float32(0)]}, "not finite. Replace them"),
        ({"masks": lambda v: [np.zeros((40, 64), bool)] * 6}, "mask 0 is 64x40 pixels, the frames"),
        ({"masks": lambda v: [np.zeros((48, 64), bool)] * 4}, "there are 4 masks, but more frames"),
        ({"masks": lambda v: [np.zeros((48, 64), bool)] * 8}, "there are 6 frames, but more masks"),
        ({"model": lambda f: f[:20]}, "gives shape .20, 64, 3. for frame 0, but must give"),
        ({"model": lambda f: f * np.nan}, r"not finite for frame 0 \(9216 of 9216\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_input_is_a_sentence(shifted, change, sentence):
    video = change["video"](shifted) if "video" in change else shifted
    masks = change["masks"](shifted) if "masks" in change else None
    model = change.get("model", (lambda f, h: f) if masks else (lambda f: f))
    with pytest.raises(UserError, match=sentence):
        list(hypercon(video, model, masks=masks))


def test_frames_of_another_type_or_scale_are_refused(shifted):
    for wrong, sentence in [
        ([frame.astype(np.int64) for frame in shifted], "frame 0 of the video is of type int64"),
        ([frame.astype(np.uint16) for frame in shifted], "is of type uint16"),
        ([frame.astype(np.float32) for frame in shifted], r"values up to \d+: they must be in"),
    ]:
        with pytest.raises(UserError, match=sentence):
            list(hypercon(wrong, posterise))


def test_masks_of_one_colour_are_holes_and_masks_of_ones_are_refused(shifted):
    green = np.zeros((48, 64, 4), np.uint8)
    green[..., 3] = 255
    green[10:20, 30:40, 1] = 255
    config = HyperConConfig(half_window=0)
    found = list(HyperCon(config).run(shifted, lambda frame, hole: 0 * frame, [green] * 6))
    assert (found[0][10:20, 30:40] == 0).all()
    assert np.array_equal(found[0][:10], unit(shifted)[0][:10])
    with pytest.raises(UserError, match="mask 0 has numbers from 0 to 1, of which none is hole"):
        list(hypercon(shifted, telea, masks=[green[..., 1] // 255] * 6))


def test_grey_masks_with_opacity_have_no_hole_where_nothing_is_bright():
    mask = np.zeros((4, 4, 2), np.uint8)
    mask[..., 1] = 255
    assert not as_hole(mask, 0, (4, 4)).any()
    mask[0, 0, 0] = 200
    assert as_hole(mask, 0, (4, 4)).sum() == 1


def test_ones_that_a_codec_leaves_in_masks_are_no_mistake(tmp_path):
    assert not as_hole(np.ones((4, 4, 3), np.uint8), 0, (4, 4), exact=False).any()
    path = tmp_path / "masks.avi"
    with ClipWriter(path, 10) as writer:
        for shade in (1.0, 1 / 255, 1 / 255):
            writer.write(np.full((48, 64, 3), shade, np.float32))
    masks = read_clip(path)
    assert [int(frame.max()) for frame in masks] == [255, 1, 1]
    frames = [np.full((48, 64, 3), 90, np.uint8)] * 3
    assert len(list(hypercon(frames, telea, masks=masks))) == 3
