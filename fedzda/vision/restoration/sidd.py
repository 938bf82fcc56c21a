"""SIDD and SIDD+: image folders, blocks in ``.mat`` files, score and submission of NTIRE 2020.

The layouts are those of the data sets' pages; nothing is downloaded. Photographs of SIDD Medium are
files of their own, ``.PNG`` (sRGB) or ``.MAT`` (raw). Blocks of the validation sets are
``(40, 32, 256, 256[, 3])`` (SIDD) or ``(1024, 256, 256[, 3])`` (SIDD+), raw in [0, 1], sRGB in
8 bits. The key inside a file of blocks is the name of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fedzda.base import UserError
from fedzda.vision.metrics.pairs import check_pixels
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.files import read_image
from fedzda.vision.restoration.imresize import rounded

PHONES = {"GP": "bggr", "IP": "rggb", "S6": "grbg", "N6": "bggr", "G4": "bggr"}
"""Bayer patterns of the phones of SIDD: Google Pixel, iPhone 7, Galaxy S6 Edge, Nexus 6, LG G4."""

BLOCKS_PER_IMAGE = 32

_WHITE = {"u1": 255, "u2": 65535}
"""Value of white of the types of whole numbers that are read; floating point has white at 1."""


# ---------------------------------------------------------------------------------------------
# Folders


@dataclass(frozen=True)
class Scene:
    """One folder of SIDD Medium, named after what was photographed and how.

    Attributes:
        folder: The folder.
        instance: Number of the folder.
        scene: Number of the scene.
        phone: Two letters, see ``PHONES``; the natural client.
        iso: Sensitivity.
        shutter: Inverse of the exposure time in 1/s.
        kelvin: Colour temperature of the light in K.
        brightness: N (normal), L (low) or H (high).
    """

    folder: Path
    instance: int
    scene: int
    phone: str
    iso: int
    shutter: int
    kelvin: int
    brightness: str

    def pairs(self) -> Iterator[tuple[Path, Path]]:
        """Noisy file and ground truth of every photograph, by number, for :func:`load_image`."""
        for noisy in sorted(self.folder.glob("*NOISY*")):
            truth = noisy.with_name(noisy.name.replace("NOISY", "GT"))
            if not truth.exists():
                raise UserError(f"sidd: {noisy} has no ground truth beside it ({truth.name}).")
            yield noisy, truth


def scenes(root: Path) -> list[Scene]:
    """All scene folders below ``root`` (or its ``Data``), by number.

    Raises:
        UserError: There is no such folder, or no folder in it is named as those of SIDD.
    """
    home = root / "Data" if (root / "Data").is_dir() else root
    if not home.is_dir():
        raise UserError(f"sidd: there is no folder {home}. Give the one that holds the scenes.")
    found = [_scene(folder) for folder in home.iterdir() if folder.is_dir()]
    named = sorted((scene for scene in found if scene), key=lambda scene: scene.instance)
    if not named:
        raise UserError(
            f"sidd: {home} has no folder named like 0001_001_S6_00100_00060_3200_L. Give the "
            "folder that holds the scene folders."
        )
    return named


def _scene(folder: Path) -> Scene | None:
    parts = folder.name.split("_")
    if len(parts) != 7 or parts[2] not in PHONES:
        return None
    try:
        numbers = [int(parts[place]) for place in (0, 1, 3, 4, 5)]
    except ValueError:
        return None
    instance, scene, iso, shutter, kelvin = numbers
    return Scene(folder, instance, scene, parts[2], iso, shutter, kelvin, parts[6])


# ---------------------------------------------------------------------------------------------
# Images and blocks


def load_image(path: Path) -> torch.Tensor:
    """One photograph of SIDD Medium, float32 in [0, 1]: sRGB ``(3, H, W)`` or raw ``(1, H, W)``.

    The published ``.MAT`` files are of version 7.3, which is HDF5 and is not read; the error says
    how to convert them.

    Args:
        path: A ``.png`` (sRGB) or a ``.mat`` with one array ``(H, W)`` (raw), as in
            :meth:`Scene.pairs`; capitals do not matter.

    Raises:
        UserError: No such file, another kind of file, a ``.mat`` of version 7.3, or pixels of
            another shape, type or range.
    """
    kind = path.suffix.lower()
    if kind == ".png":
        return read_image(path).expand(3, -1, -1)
    if kind != ".mat":
        raise UserError(f"sidd: images are .png (sRGB) or .mat (raw) files (got {path}).")
    array = _read_mat(path)
    if array.ndim != 2 or not array.size:
        raise UserError(
            f"sidd: {path.name} holds an array of shape {array.shape}; a raw image is (height, "
            "width). Read files of blocks with load_blocks."
        )
    return _unit(array, path).unsqueeze(0)


def load_blocks(path: Path) -> torch.Tensor:
    """Blocks of a ``.mat`` file, float32 ``(B, C, H, W)`` in [0, 1]; C is 1 (raw) or 3 (sRGB).

    Raises:
        UserError: No such file, a ``.mat`` of version 7.3, or pixels of another shape, type or
            range.
    """
    array = _read_mat(path)
    colours = array.ndim >= 4 and array.shape[-1] == 3
    if array.ndim not in ((4, 5) if colours else (3, 4)) or not array.size:
        raise UserError(
            f"sidd: {path.name} holds an array of shape {array.shape}; blocks are (blocks, height, "
            "width), with the images in front and 3 colours at the end where there are any. Read a "
            "single photograph with load_image."
        )
    shape = (-1, *array.shape[-3:]) if colours else (-1, 1, *array.shape[-2:])
    blocks = _unit(array.reshape(shape), path)
    return blocks.permute(0, 3, 1, 2) if colours else blocks


def _unit(array: NDArray[np.generic], path: Path) -> torch.Tensor:
    """Pixels as float32 in [0, 1], scaled by their type.

    Raises:
        UserError: A type that does not say where white is, or floating point outside of [0, 1].
    """
    white = _WHITE.get(array.dtype.str[1:])
    if white is None and array.dtype.kind != "f":
        raise UserError(
            f"sidd: {path.name} holds pixels of type {array.dtype.name}{_span(array)}. Save them "
            "as floating point in [0, 1], uint8 or uint16."
        )
    if white is None and not (array.min() >= 0 and array.max() <= 1):
        raise UserError(
            f"sidd: floating-point pixels lie in [0, 1], and those of {path.name} range"
            f"{_span(array)}. Divide them by the value of white and save them again."
        )
    pixels = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return pixels if white is None else pixels.div_(white)


def _span(array: NDArray[np.generic]) -> str:
    """From the smallest to the largest number, as far as these are numbers."""
    return f" from {array.min():g} to {array.max():g}" if array.dtype.kind in "if" else ""


def _read_mat(path: Path) -> NDArray[np.generic]:
    """The array named as the file, or the only one."""
    from scipy import io  # type: ignore[import-untyped]

    if not path.is_file():
        raise UserError(f"sidd: there is no file {path}.")
    try:
        arrays = io.loadmat(path)
    except NotImplementedError as error:
        raise UserError(
            f"sidd: {path.name} is a .mat file of version 7.3 (HDF5). Save it again with -v7. In "
            "MATLAB: s = load(old); save(new, '-struct', 's', '-v7'). In Python with h5py: "
            "scipy.io.savemat(new, {'x': h5py.File(old)['x'][()].T})."
        ) from error
    except ValueError as error:
        raise UserError(f"sidd: {path.name} is no .mat file ({error}).") from error
    named = {key: value for key, value in arrays.items() if not key.startswith("__")}
    if path.stem in named:
        return np.asarray(named[path.stem])
    if len(named) != 1:
        raise UserError(
            f"sidd: {path.name} needs an array named '{path.stem}' (found {', '.join(named)})."
        )
    return np.asarray(next(iter(named.values())))


def load_patterns(path: Path) -> list[str]:
    """Bayer pattern of every image, from SIDD+'s ``siddplus_bayer_patterns.csv``.

    Every row has one of the four patterns in some column; other columns and rows do not matter.

    Raises:
        UserError: No such file, or no row has a pattern.
    """
    if not path.is_file():
        raise UserError(f"sidd: there is no file {path}.")
    found = []
    # Spreadsheets put a byte order mark in front, which would hide a pattern in the first cell.
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        cells = [cell.strip().strip("\"'").lower() for cell in line.split(",")]
        found += [cell for cell in cells if cell in PHONES.values() or cell == "gbrg"][:1]
    if not found:
        raise UserError(f"sidd: {path} names no Bayer pattern (rggb, bggr, grbg or gbrg).")
    return found


# ---------------------------------------------------------------------------------------------
# The challenge


@dataclass(frozen=True)
class Score:
    """What the challenge ranks by.

    Attributes:
        psnr: Mean over blocks of the block's PSNR in dB.
        ssim: Mean over blocks of the block's SSIM.
    """

    psnr: float
    ssim: float


def score(results_BCHW: torch.Tensor, truth_BCHW: torch.Tensor) -> Score:
    """Score of restored blocks as :func:`write_submission` writes them: clipped to [0, 1], sRGB
    rounded to 8 bits.

    Raises:
        UserError: The shapes differ, there are neither 1 nor 3 channels, or pixels are integers or
            far outside of [0, 1].
    """
    results = _submitted(results_BCHW)
    return Score(float(psnr(results, truth_BCHW).mean()), float(ssim(results, truth_BCHW).mean()))


def _submitted(results_BCHW: torch.Tensor) -> torch.Tensor:
    """What a submission keeps of restored blocks."""
    channels = results_BCHW.shape[1]
    if channels not in (1, 3):
        raise UserError(f"results: blocks have 1 or 3 channels (got {channels}).")
    check_pixels(results_BCHW)
    return rounded(results_BCHW) if channels == 3 else results_BCHW.clamp(0, 1).float()


@dataclass(frozen=True)
class Submission:
    """What ``readme.txt`` of a submission says.

    Attributes:
        seconds: Run time per megapixel in seconds.
        gpu: Whether a GPU was used.
        extra_data: Whether data other than SIDD was used for training.
        description: The method, in a few words.
        metadata: Whether metadata of the images were used.
    """

    seconds: float
    gpu: bool
    extra_data: bool
    description: str
    metadata: bool = False


def write_submission(folder: Path, results_BCHW: torch.Tensor, readme: Submission) -> Path:
    """Write ``results.mat`` (key ``results``) and ``readme.txt``; returns the former's path.

    Raw blocks are kept as float32 ``(B, H, W)``, sRGB blocks as 8 bits ``(B, H, W, 3)``.

    Raises:
        UserError: Neither 1 nor 3 channels, or pixels that are integers or far outside of [0, 1].
    """
    from scipy import io

    results = _submitted(results_BCHW).cpu()
    folder.mkdir(parents=True, exist_ok=True)
    if results.shape[1] == 3:
        array = (results * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    else:
        array = results[:, 0].numpy()
    path = folder / "results.mat"
    io.savemat(path, {"results": array}, do_compression=True)
    lines = [
        f"Runtime per mega pixel [s] : {readme.seconds:.4g}",
        f"CPU[1] / GPU[0] : {int(not readme.gpu)}",
        f"Use metadata[1] / No use of metadata[0] : {int(readme.metadata)}",
        f"Extra Data[1] / No Extra Data[0] : {int(readme.extra_data)}",
        f"Other description : {readme.description}",
    ]
    (folder / "readme.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
