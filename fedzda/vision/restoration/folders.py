"""Folder layouts of super-resolution data: DIV2K, Flickr2K, and both tracks of NTIRE 2020.

Nothing is downloaded. A layout says where its folders are; images are matched by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fedzda.base import UserError
from fedzda.vision.restoration.files import images_in

Layout = Literal["div2k", "flickr2k", "ntire2020-track1", "ntire2020-track2"]
Split = Literal["train", "valid", "test"]

_TRACKS = {
    "ntire2020-track1": {
        "train": ("Corrupted-tr-x", "Corrupted-tr-y"),
        "valid": ("Corrupted-va-x", ""),
        "test": ("Corrupted-te-x", ""),
    },
    "ntire2020-track2": {
        "train": ("DPEDiphone-tr-x", "DPEDiphone-tr-y"),
        "valid": ("DPEDiphone-va", ""),
        "test": ("DPEDiphone-crop-te-x", ""),
    },
}


_SPLITS: dict[str, tuple[str, ...]] = {
    "div2k": ("train", "valid"),
    "flickr2k": ("train",),
    **{track: tuple(folders) for track, folders in _TRACKS.items()},
}


@dataclass(frozen=True)
class Found:
    """Files of one split, by name.

    Attributes:
        small: Images to enlarge; for unpaired tracks the source images.
        large: Clean images; for unpaired tracks the targets, which show something else.
        paired: Whether ``large[i]`` is the truth of ``small[i]``.
    """

    small: list[Path] = field(default_factory=list)
    large: list[Path] = field(default_factory=list)
    paired: bool = False


def find(root: Path, layout: Layout, split: Split, scale: int = 4) -> Found:
    """Images of a data set that lies in ``root``.

    DIV2K: ``DIV2K_train_HR`` and ``DIV2K_train_LR_bicubic/X4/0001x4.png`` (or ``valid``);
    Flickr2K: ``Flickr2K_HR`` and ``Flickr2K_LR_bicubic/X4``; small images are optional there.
    Tracks of the challenge: ``Corrupted-tr-x`` and so on, unpaired.

    Raises:
        UserError: The layout, its split or a folder does not exist, a folder is empty, or a pair is
            incomplete.
    """
    _check_names(layout, split)
    if layout in _TRACKS:
        source, target = _TRACKS[layout][split]
        return Found(images_in(root / source), images_in(root / target) if target else [])
    stem = f"DIV2K_{split}" if layout == "div2k" else "Flickr2K"
    large = images_in(root / f"{stem}_HR")
    shrunk = root / f"{stem}_LR_bicubic" / f"X{scale}"
    if not shrunk.is_dir():
        return Found(large=large)
    small = [shrunk / f"{path.stem}x{scale}{path.suffix}" for path in large]
    for path in small:
        if not path.exists():
            raise UserError(f"{layout}: {path} is missing, which belongs to an image of {stem}_HR.")
    return Found(small, large, paired=True)


def _check_names(layout: str, split: str) -> None:
    if layout not in _SPLITS:
        raise UserError(f"layout: choose one of {', '.join(_SPLITS)} (got '{layout}').")
    if split not in _SPLITS[layout]:
        raise UserError(
            f"split: {layout} has no published split '{split}'. Choose one of: "
            f"{', '.join(_SPLITS[layout])}."
        )
