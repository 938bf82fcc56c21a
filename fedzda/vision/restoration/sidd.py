"""SIDD and SIDD+: image folders, blocks in ``.mat`` files, score and submission of NTIRE 2020.

The layouts are those of the data sets' pages; nothing is downloaded. Blocks of the validation sets
are ``(40, 32, 256, 256[, 3])`` (SIDD) or ``(1024, 256, 256[, 3])`` (SIDD+), raw in [0, 1], sRGB in
8 bits. The key inside a file is the name of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fedzda.base import UserError
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.metrics.ssim import ssim

PHONES = {"GP": "bggr", "IP": "rggb", "S6": "grbg", "N6": "bggr", "G4": "bggr"}
"""Bayer patterns of the phones of SIDD: Google Pixel, iPhone 7, Galaxy S6 Edge, Nexus 6, LG G4."""

BLOCKS_PER_IMAGE = 32


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
        """Noisy file and ground truth of every photograph, by number."""
        for noisy in sorted(self.folder.glob("*NOISY*")):
            truth = noisy.with_name(noisy.name.replace("NOISY", "GT"))
            if not truth.exists():
                raise UserError(f"sidd: {noisy} has no ground truth beside it ({truth.name}).")
            yield noisy, truth


def scenes(root: Path) -> list[Scene]:
    """All scene folders below ``root`` (or its ``Data``), by number.

    Raises:
        UserError: No folder is named as those of SIDD.
    """
    home = root / "Data" if (root / "Data").is_dir() else root
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
# Blocks


def load_blocks(path: Path) -> torch.Tensor:
    """Blocks of a ``.mat`` file, float32 ``(B, C, H, W)`` in [0, 1]; C is 1 (raw) or 3 (sRGB).

    Raises:
        UserError: No such file, a ``.mat`` of version 7.3, or arrays of another shape.
    """
    array = _read_mat(path)
    colours = array.ndim >= 4 and array.shape[-1] == 3
    if array.ndim not in ((4, 5) if colours else (3, 4)):
        raise UserError(
            f"sidd: {path.name} holds an array of shape {array.shape}; blocks are (blocks, height, "
            "width), with the images in front and 3 colours at the end where there are any."
        )
    shape = (-1, *array.shape[-3:]) if colours else (-1, 1, *array.shape[-2:])
    blocks = torch.from_numpy(np.ascontiguousarray(array.reshape(shape)))
    blocks = blocks.permute(0, 3, 1, 2) if colours else blocks
    return blocks.float() / 255 if blocks.dtype == torch.uint8 else blocks.float()


def _read_mat(path: Path) -> NDArray[np.generic]:
    """The array named as the file, or the only one."""
    from scipy import io  # type: ignore[import-untyped]

    if not path.is_file():
        raise UserError(f"sidd: there is no file {path}.")
    try:
        arrays = io.loadmat(path)
    except NotImplementedError as error:
        raise UserError(
            f"sidd: {path.name} is a .mat file of version 7.3. Save it again with -v7."
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
        UserError: No row has a pattern.
    """
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
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
    """Score of restored blocks, all pixels in [0, 1].

    Raises:
        UserError: The shapes differ.
    """
    return Score(
        float(psnr(results_BCHW, truth_BCHW).mean()), float(ssim(results_BCHW, truth_BCHW).mean())
    )


@dataclass(frozen=True)
class Submission:
    """What ``readme.txt`` of a submission says.

    Attributes:
        seconds: Run time per megapixel in seconds.
        gpu: Whether a GPU was used.
        extra_data: Whether data other than SIDD was used for training.
        description: The method, in a few words.
    """

    seconds: float
    gpu: bool
    extra_data: bool
    description: str


def write_submission(folder: Path, results_BCHW: torch.Tensor, readme: Submission) -> Path:
    """Write ``results.mat`` (key ``results``) and ``readme.txt``; returns the former's path.

    Raw blocks are kept as float32 ``(B, H, W)``, sRGB blocks as 8 bits ``(B, H, W, 3)``.

    Raises:
        UserError: Neither 1 nor 3 channels.
    """
    from scipy import io

    channels = results_BCHW.shape[1]
    if channels not in (1, 3):
        raise UserError(f"results: blocks have 1 or 3 channels (got {channels}).")
    folder.mkdir(parents=True, exist_ok=True)
    clipped = results_BCHW.clamp(0, 1).cpu()
    if channels == 3:
        array = (clipped * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    else:
        array = clipped[:, 0].float().numpy()
    path = folder / "results.mat"
    io.savemat(path, {"results": array}, do_compression=True)
    lines = [
        f"Runtime per mega pixel [s] : {readme.seconds:.4g}",
        f"CPU[1] / GPU[0] : {int(not readme.gpu)}",
        "Use metadata[1] / No use of metadata[0] : 0",
        f"Extra Data[1] / No Extra Data[0] : {int(readme.extra_data)}",
        f"Other description : {readme.description}",
    ]
    (folder / "readme.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
