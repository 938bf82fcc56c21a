"""``fedzda hypercon``: files, figures, errors, exit codes."""

import json

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file
from typer.testing import CliRunner

from fedzda.platform.cli.app import app

pytest.importorskip("cv2")
pytest.importorskip("skimage")

import cv2

from fedzda.vision.hypercon.photographs import photographs
from fedzda.vision.hypercon.video import read_clip, read_picture, write_picture

FLAGS = [
    *["--figures", "--masks", "--model", "--out", "--seed", "--style", "--weights"],
    *["VIDEO", "[key=value]..."],
]
STRANGERS = """
import numpy as np
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.mix(x)


def invert(frame):
    return 1 - frame


def nan(frame):
    return frame * np.nan


def small(frame):
    return frame[::2]


number = 3
"""


def call(*arguments):
    return CliRunner().invoke(app, ["hypercon", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a clip of six frames, its masks and a module of image models."""
    cv2.setNumThreads(1)
    monkeypatch.chdir(tmp_path)
    picture = photographs()["coffee"]
    for name in ("clip", "masks", "one"):
        (tmp_path / name).mkdir()
    for t in range(6):
        write_picture(tmp_path / "clip" / f"{t}.png", picture[100:164, 200 + 2 * t : 280 + 2 * t])
        mask = np.zeros((64, 80, 3), np.uint8)
        mask[20:35, 30:50] = 255
        write_picture(tmp_path / "masks" / f"{t}.png", mask)
    write_picture(tmp_path / "one" / "0.png", picture[:64, :80])
    (tmp_path / "hypercon_strangers.py").write_text(STRANGERS)
    return tmp_path


def test_the_options_are_these(folder):
    group = typer.main.get_command(app)
    command = group.resolve_command(typer.Context(group), ["hypercon"])[1]
    found = []
    for param in command.params:
        found += param.opts if param.param_type_name == "option" else [param.metavar]
    assert sorted(found) == sorted(FLAGS)
    assert call("-h").exit_code == 0


def test_a_clip_is_made_measured_and_shown(folder):
    result = call("clip", "half_window=1", "--model", "posterise", "--out", "new/out.mp4")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (folder / "new").iterdir()}
    assert names == {"out.mp4", "out-side-by-side.mp4", "out-strip.png", "out-figures.json"}
    assert len(list(read_clip(folder / "new" / "out.mp4"))) == 6
    beside = next(iter(read_clip(folder / "new" / "out-side-by-side.mp4")))
    assert beside.shape == (64, 240, 3)
    assert read_picture(folder / "new" / "out-strip.png").shape[1] == 4 * 80 + 3 * 4
    record = json.loads((folder / "new" / "out-figures.json").read_text())
    assert record["frames"] == 6
    assert record["config"]["half_window"] == 1
    figures = record["figures"]
    assert figures["warping_error"] < figures["warping_error_frame_wise"]
    assert figures["psnr_to_frame_wise_db"] > 15
    assert "image model, frame by frame" in result.output
    again = call("clip", "--model", "posterise", "--out", "new/out.mp4")
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_masks_and_a_video_file_and_a_folder_as_result(folder):
    result = call("clip", "--model", "posterise", "--out", "clip.avi", "--no-figures")
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "clip-figures.json").read_text())["figures"] is None
    arguments = ["--model", "telea", "--masks", "masks", "--out", "filled"]
    result = call("clip.avi", *arguments)
    assert result.exit_code == 0, result.output
    assert len(list((folder / "filled").iterdir())) == 6


def test_models_of_strangers(folder):
    torch.manual_seed(0)
    weights = {"mix.weight": torch.eye(3).view(3, 3, 1, 1), "mix.bias": torch.zeros(3)}
    save_file(weights, folder / "mix.safetensors")
    result = call("clip", "--model", "hypercon_strangers:invert", "--out", "a.mp4")
    assert result.exit_code == 0, result.output
    net = ["--model", "hypercon_strangers:Net", "--weights", "mix.safetensors"]
    result = call("clip", "half_window=0", *net, "--out", "b")
    assert result.exit_code == 0, result.output
    same = [
        np.array_equal(a, b)
        for a, b in zip(read_clip(folder / "clip"), read_clip(folder / "b"), strict=True)
    ]
    assert all(same)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.mp4"], "there is no file or folder 'none.mp4'"),
        (["hypercon_strangers.py"], "cannot be read as video"),
        (["one"], "'one' has 1 frame that can be read"),
        (["clip", "--model", "posterise", "--style", "one/0.png"], "--model is 'posterise'"),
        (["clip", "--style", "one/0.png", "--weights", "a.safetensors"], "--weights are given"),
        (["clip", "half_windw=1"], "Did you mean 'half_window'"),
        (["clip", "--model", "posteris"], "no image model 'posteris'"),
        (["clip", "--model", "telea"], "fills holes and needs --masks"),
        (["clip", "--model", "posterise", "--masks", "masks"], "does not fill holes"),
        (["clip", "--model", "posterise", "--weights", "x"], "has no weights"),
        (["clip", "--model", "style", "--weights", "x"], "no file of weights 'x'"),
        (["clip", "--model", "hypercon_strangers:no"], "has no 'no'"),
        (["clip", "--model", "hypercon_strangers:number"], "cannot be called"),
        (["clip", "--model", "hypercon_strangers:nan"], "not finite for frame 0"),
        (["clip", "--model", "hypercon_strangers:small"], "gives shape (32, 80, 3)"),
        (["clip", "--model", "telea", "--masks", "one"], "there are 1 masks, but more frames"),
        (["clip", "--model", "posterise", "--out", "x.gif"], "ends in .mp4"),
    ],
)
def test_wrong_input_is_a_sentence(folder, arguments, sentence):
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert sentence in result.output


def test_frames_that_a_video_file_cannot_hold_are_refused_before_any_work(folder):
    (folder / "odd").mkdir()
    for t in range(2):
        write_picture(folder / "odd" / f"{t}.png", np.zeros((41, 51, 3), np.uint8))
    result = call("odd", "--out", "a.mp4")  # trains a network first, if nobody looks
    assert result.exit_code == 2
    assert "the frames have 51x41 pixels, and a video file ('a.mp4')" in result.output
    assert "training" not in result.output
