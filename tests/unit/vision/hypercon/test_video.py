"""Files and folders of frames, strips."""

import numpy as np
import pytest
from PIL import Image

from fedzda.base import UserError
from fedzda.vision.hypercon.pictures import side_by_side, slice_over_time, strip
from fedzda.vision.hypercon.video import ClipWriter, read_clip


def unit(frames):
    return [frame.astype(np.float32) / 255 for frame in frames]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv", "deep/clip.mov"])
def test_a_video_file_and_back(shifted, tmp_path, name):
    with ClipWriter(tmp_path / name, 10) as writer:
        for frame in unit(shifted):
            writer.write(frame)
    clip = read_clip(tmp_path / name)
    assert clip.fps == 10
    for _ in range(2):  # again and again
        found = list(clip)
        assert len(found) == len(clip) == 6
        gap = np.abs(np.stack(found).astype(int) - np.stack(shifted))
        assert gap.mean() < 12  # lossy; wrong colours would differ by far more


def test_a_folder_of_frames_and_back(shifted, tmp_path):
    with ClipWriter(tmp_path / "frames", 10) as writer:
        for frame in unit(shifted):
            writer.write(frame)
    clip = read_clip(tmp_path / "frames")
    assert len(clip) == 6
    assert np.array_equal(np.stack(list(clip)), np.stack(shifted))


def test_what_cannot_be_read_or_written_is_a_sentence(shifted, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0.png").write_text("no picture")
    for name, sentence in [
        ("none.mp4", "there is no file or folder"),
        ("empty", "has no pictures"),
        ("text.mp4", "cannot be read as video"),
    ]:
        with pytest.raises(UserError, match=sentence):
            read_clip(tmp_path / name)
    with pytest.raises(UserError, match=r"0.png' cannot be read"):
        list(read_clip(tmp_path / "bad"))
    with pytest.raises(UserError, match=r"ends in .mp4"):
        ClipWriter(tmp_path / "out.gif", 10)
    with pytest.raises(UserError, match="exists already"):
        ClipWriter(tmp_path / "empty", 10)


def test_pictures_for_the_eye(shifted, tmp_path):
    frames = unit(shifted)
    assert side_by_side(frames[:2]).shape == (48, 128, 3)
    assert side_by_side([frames[0], frames[1].repeat(2, 0).repeat(2, 1)]).shape == (48, 128, 3)
    picture = strip({"input": frames[:3], "output": frames[3:]})
    assert picture.shape[1] == 3 * 64 + 2 * 4
    assert picture.dtype == np.uint8
    Image.fromarray(picture).save(tmp_path / "strip.png")
    assert slice_over_time(frames, 5).shape == (48, 6, 3)


def test_files_refuse_odd_frames_and_side_by_side_is_even(shifted, tmp_path):
    odd = unit(shifted)[0][:47, :63]
    with (
        pytest.raises(UserError, match="have 63x47 pixels, and a video file"),
        ClipWriter(tmp_path / "clip.mp4", 10) as writer,
    ):
        writer.write(odd)
    row = side_by_side([odd] * 3)
    assert row.shape == (48, 190, 3)
    assert np.array_equal(row[47], row[46])
    with ClipWriter(tmp_path / "clip.avi", 10) as writer:
        writer.write(row)
    assert next(iter(read_clip(tmp_path / "clip.avi"))).shape == row.shape
