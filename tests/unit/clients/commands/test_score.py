"""``fedzda score``: figures of images in files."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedzda.platform.cli.app import app

pytest.importorskip("skimage")


def said(*arguments, code=0):
    result = CliRunner().invoke(app, ["score", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def folders(tmp_path):
    """Two photographs, and what noise of about 10 grey levels made of them."""
    from skimage import data

    rng = np.random.default_rng(0)
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    for name in ("astronaut", "coffee"):
        pixels = getattr(data, name)()[:200, :220]
        noisy = (pixels + rng.normal(0, 10, pixels.shape)).clip(0, 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "truth" / f"{name}.png")
        Image.fromarray(noisy).save(tmp_path / "found" / f"{name}.png")
    return tmp_path


def test_figures_with_the_truth_are_those_of_scikit_image(folders):
    from skimage.metrics import peak_signal_noise_ratio

    found, truth, table = folders / "found", folders / "truth", folders / "scores.csv"
    text = said(found, "--truth", truth, "--border", 4, "--out", table)
    rows = pd.read_csv(table).set_index("image")
    assert list(rows.columns) == ["psnr", "ssim", "gmsd", "haarpsi", "piqe"]
    for name, row in rows.iterrows():
        one, two = (
            np.asarray(Image.open(folder / f"{name}.png"))[4:-4, 4:-4] for folder in (truth, found)
        )
        assert row["psnr"] == pytest.approx(peak_signal_noise_ratio(one, two), abs=1e-3)
    assert f"psnr {rows.psnr.mean():.4f} higher is better" in text
    assert f"gmsd {rows.gmsd.mean():.4f} lower is better" in text


def test_y_is_another_scale(folders):
    on_colours, on_y = (
        said(folders / "found", "--truth", folders / "truth", "--on", on) for on in ("rgb", "y")
    )
    assert on_colours.split("psnr ")[1][:5] != on_y.split("psnr ")[1][:5]


def test_without_the_truth_photographs_say_what_is_natural(folders):
    text = said(folders / "found", "--photographs", folders / "truth", code=2)
    assert "a fit needs more than 36 sharp blocks" in text
    from skimage import data

    good = folders / "good"
    good.mkdir()
    for name in ("rocket", "chelsea", "astronaut", "coffee", "camera", "brick", "gravel"):
        Image.fromarray(getattr(data, name)()).save(good / f"{name}.png")
    figures = {}
    for name in ("found", "truth"):
        text = said(folders / name, "--photographs", good)
        assert "psnr" not in text
        figures[name] = float(text.split("niqe_refit ")[1].split()[0])
    assert figures["truth"] < figures["found"]


def test_grey_of_16_bits_is_read(tmp_path):
    levels = np.linspace(0, 65535, 128 * 128).reshape(128, 128).astype(np.uint16)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(levels).save(tmp_path / name / "it.png")
    assert "ssim 1.0000" in said(tmp_path / "a", "--truth", tmp_path / "b")


def test_what_does_not_fit_is_said(folders):
    found, truth = folders / "found", folders / "truth"
    assert "there is no folder" in said(folders / "nowhere", code=2)
    (folders / "empty").mkdir()
    assert "has no images" in said(folders / "empty", code=2)
    assert "for example scores.csv" in said(found, "--out", folders / "x.txt", code=2)
    (truth / "coffee.png").rename(truth / "tea.png")
    assert "no image called 'coffee'" in said(found, "--truth", truth, code=2)
    Image.new("RGB", (64, 64)).save(truth / "coffee.png")
    assert "and its truth (3, 64, 64)" in said(found, "--truth", truth, code=2)
    (found / "coffee.png").write_bytes(b"no image")
    assert "is no image, or a damaged one" in said(found, code=2)
    (found / "coffee.jpg").write_bytes(b"no image")
    assert "have one name" in said(found, code=2)
