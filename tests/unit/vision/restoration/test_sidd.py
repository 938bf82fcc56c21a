import numpy as np
import pytest
import torch
from PIL import Image
from scipy import io

from fedzda.base import UserError
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.restoration.sidd import (
    Submission,
    load_blocks,
    load_image,
    load_patterns,
    scenes,
    score,
    write_submission,
)

RNG = np.random.default_rng(0)


def save(path, array, key=None):
    io.savemat(path, {key or path.stem: array})
    return path


def test_sidd_blocks_of_both_tracks(tmp_path):
    raw = RNG.random((4, 3, 16, 12)).astype(np.float32)
    blocks = load_blocks(save(tmp_path / "ValidationNoisyBlocksRaw.mat", raw))
    assert blocks.shape == (12, 1, 16, 12)
    np.testing.assert_array_equal(blocks[5, 0].numpy(), raw[1, 2])
    rgb = RNG.integers(0, 256, (4, 3, 16, 12, 3), dtype=np.uint8)
    blocks = load_blocks(save(tmp_path / "ValidationNoisyBlocksSrgb.mat", rgb))
    assert blocks.shape == (12, 3, 16, 12)
    np.testing.assert_allclose(blocks[5].permute(1, 2, 0).numpy(), rgb[1, 2] / 255, atol=1e-7)


def test_sidd_plus_blocks_under_any_single_name(tmp_path):
    raw = RNG.random((32, 8, 8)).astype(np.float32)
    assert load_blocks(save(tmp_path / "siddplus_valid_gt_raw.mat", raw)).shape == (32, 1, 8, 8)
    assert load_blocks(save(tmp_path / "other.mat", raw, "x")).shape == (32, 1, 8, 8)
    rgb = RNG.integers(0, 256, (32, 8, 8, 3), dtype=np.uint8)
    path = save(tmp_path / "siddplus_valid_gt_srgb.mat", rgb)
    assert load_blocks(path).shape == (32, 3, 8, 8)


def test_unfit_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        load_blocks(tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("no such thing" * 100)
    with pytest.raises(UserError, match=r"no \.mat file"):
        load_blocks(tmp_path / "text.mat")
    (tmp_path / "new.mat").write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(99)
    )
    with pytest.raises(UserError, match=r"7\.3"):
        load_blocks(tmp_path / "new.mat")
    io.savemat(tmp_path / "two.mat", {"a": np.zeros((1, 8, 8)), "b": np.zeros((1, 8, 8))})
    with pytest.raises(UserError, match="needs an array named 'two'"):
        load_blocks(tmp_path / "two.mat")
    with pytest.raises(UserError, match="array of shape"):
        load_blocks(save(tmp_path / "flat.mat", np.zeros((8, 8))))


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (float, 1)])
@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 3)])
def test_blocks_are_scaled_by_their_type(tmp_path, dtype, white, shape):
    array = (RNG.random(shape) * white).astype(dtype)
    array.flat[:2] = 0, white
    blocks = load_blocks(save(tmp_path / "x.mat", array))
    assert blocks.dtype == torch.float32
    expected = array / white if array.ndim == 3 else np.moveaxis(array / white, 3, 1)
    np.testing.assert_allclose(blocks.numpy().reshape(expected.shape), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([-3, 1020], np.int16), "x.mat holds pixels of type int16 from -3 to 1020"),
        (np.array([0, 1], np.int64), "type int64 from 0 to 1"),
        (
            np.array([0.25, 254.5]),
            r"lie in \[0, 1\], and those of x\.mat range from 0\.25 to 254\.5",
        ),
        (np.array([-0.5, 1.0], np.float32), "x.mat range from -0.5 to 1"),
        (np.array([np.nan, 1.0]), "x.mat range from nan to nan"),
        (np.array([0.5, 1j]), r"type complex128\. Save"),
    ],
)
def test_pixels_of_unknown_white_are_refused(tmp_path, array, message):
    with pytest.raises(UserError, match=message):
        load_blocks(save(tmp_path / "x.mat", np.tile(array, (2, 4, 2))))
    with pytest.raises(UserError, match=message):
        load_image(save(tmp_path / "x.mat", np.tile(array, (4, 2))))


def test_photographs_of_a_scene_can_be_read(tmp_path):
    folder = tmp_path / "0001_001_S6_00100_00060_3200_L"
    folder.mkdir()
    rgb = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    raw = RNG.random((6, 8)).astype(np.float32)
    for kind, number in (("NOISY", 1), ("GT", 2)):
        Image.fromarray(rgb // number).save(folder / f"0001_{kind}_SRGB_010.PNG")
        io.savemat(folder / f"0001_{kind}_RAW_010.MAT", {"x": raw / number})
    (scene,) = scenes(tmp_path)
    (noisy_raw, clean_raw), (noisy, clean) = ([load_image(f) for f in p] for p in scene.pairs())
    for image, number in ((noisy, 1), (clean, 2)):
        expected = torch.from_numpy(rgb // number).permute(2, 0, 1) / 255
        torch.testing.assert_close(image, expected)
    for image, number in ((noisy_raw, 1), (clean_raw, 2)):
        assert image.shape == (1, 6, 8)
        assert image.dtype == torch.float32
        np.testing.assert_array_equal(image[0].numpy(), raw / number)


def test_unfit_photographs_are_refused(tmp_path):
    for name in ("none.PNG", "none.MAT"):
        with pytest.raises(UserError, match="there is no file"):
            load_image(tmp_path / name)
    with pytest.raises(UserError, match=r"\.png \(sRGB\) or \.mat \(raw\)"):
        load_image(tmp_path / "x.tif")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match="is no image"):
        load_image(tmp_path / "text.png")
    with pytest.raises(UserError, match=r"raw image is \(height, width\)"):
        load_image(save(tmp_path / "blocks.mat", RNG.random((4, 8, 8))))
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "0001_GT_RAW_010.MAT").write_bytes(header + bytes(99))
    with pytest.raises(UserError, match=r"version 7\.3 \(HDF5\).*'-v7'\).*h5py"):
        load_image(tmp_path / "0001_GT_RAW_010.MAT")


def test_scene_folders_are_natural_clients(tmp_path):
    names = ["0001_001_S6_00100_00060_3200_L", "0010_002_GP_00800_01600_5500_N"]
    for name in reversed(names):
        folder = tmp_path / "Data" / name
        folder.mkdir(parents=True)
        for kind in ("NOISY", "GT"):
            for number in ("010", "011"):
                picture = Image.new("RGB", (4, 4))
                picture.save(folder / f"{name[:4]}_{kind}_SRGB_{number}.PNG")
    (tmp_path / "Data" / "0002_notes").mkdir()
    (tmp_path / "Data" / "0002_001_S6_x_00060_3200_L").mkdir()
    found = scenes(tmp_path)
    assert [(s.instance, s.scene, s.phone, s.iso) for s in found] == [
        (1, 1, "S6", 100),
        (10, 2, "GP", 800),
    ]
    assert (found[1].shutter, found[1].kelvin, found[1].brightness) == (1600, 5500, "N")
    assert [(a.name, b.name) for a, b in found[0].pairs()] == [
        ("0001_NOISY_SRGB_010.PNG", "0001_GT_SRGB_010.PNG"),
        ("0001_NOISY_SRGB_011.PNG", "0001_GT_SRGB_011.PNG"),
    ]
    (found[0].folder / "0001_GT_SRGB_010.PNG").unlink()
    with pytest.raises(UserError, match="no ground truth"):
        list(found[0].pairs())
    with pytest.raises(UserError, match="no folder named like"):
        scenes(found[0].folder)
    for missing in (tmp_path / "none", found[0].folder / "0001_NOISY_SRGB_010.PNG"):
        with pytest.raises(UserError, match="there is no folder"):
            scenes(missing)


def test_patterns_of_sidd_plus(tmp_path):
    path = tmp_path / "siddplus_bayer_patterns.csv"
    path.write_text('image,pattern\n0,"BGGR"\n1,RGGB\n2, gbrg\n')
    assert load_patterns(path) == ["bggr", "rggb", "gbrg"]
    path.write_text("RGGB\nBGGR\n", encoding="utf-8-sig")
    assert load_patterns(path) == ["rggb", "bggr"]
    with pytest.raises(UserError, match="there is no file"):
        load_patterns(tmp_path / "none.csv")
    path.write_text("image\n0\n")
    with pytest.raises(UserError, match="names no Bayer pattern"):
        load_patterns(path)


def test_the_score_is_a_mean_over_blocks():
    truth = torch.full((2, 1, 16, 16), 0.5)
    results = truth + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    found = score(results, truth)
    assert found.psnr == pytest.approx((20 + 40) / 2, abs=1e-4)
    assert score(truth, truth).ssim == pytest.approx(1)
    assert found.ssim < 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_score_is_that_of_the_submitted_file(tmp_path, channels):
    truth = torch.rand(3, channels, 16, 16, generator=torch.Generator().manual_seed(0))
    results = truth + 0.3 * truth.flip(3) - 0.1  # beyond [0, 1] on both sides
    about = Submission(seconds=1.0, gpu=True, extra_data=False, description="")
    again = load_blocks(write_submission(tmp_path, results, about))
    found, filed = score(results, truth), score(again, truth)
    assert (found.psnr, found.ssim) == pytest.approx((filed.psnr, filed.ssim), abs=1e-6)
    assert found.psnr == pytest.approx(psnr(again, truth).mean().item(), abs=1e-6)
    with pytest.raises(UserError, match="Divide by"):
        score((255 * truth).byte(), truth)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_submission_can_be_read_again(tmp_path, channels):
    results = torch.rand(4, channels, 16, 16) * 1.2 - 0.1
    about = Submission(seconds=0.25, gpu=True, extra_data=False, description="MRDN, 8 turns")
    path = write_submission(tmp_path / "out", results, about)
    assert path.name == "results.mat"
    again = load_blocks(path)
    torch.testing.assert_close(again, results.clamp(0, 1), atol=0.5 / 255, rtol=0)
    text = (tmp_path / "out" / "readme.txt").read_text()
    assert "Runtime per mega pixel [s] : 0.25" in text
    assert "CPU[1] / GPU[0] : 0" in text
    assert "No use of metadata[0] : 0" in text
    assert "No Extra Data[0] : 0" in text
    rich = Submission(seconds=0.25, gpu=False, extra_data=True, description="", metadata=True)
    write_submission(tmp_path / "rich", results, rich)
    text = (tmp_path / "rich" / "readme.txt").read_text()
    assert "CPU[1] / GPU[0] : 1" in text
    assert "No use of metadata[0] : 1" in text
    assert "No Extra Data[0] : 1" in text
    with pytest.raises(UserError, match="1 or 3 channels"):
        write_submission(tmp_path, torch.rand(1, 2, 16, 16), about)
