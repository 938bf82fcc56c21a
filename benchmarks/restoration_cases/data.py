"""Photographs of FEDZDA_DATA as tensors in [0, 1], float32 (C, H, W)."""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

CAMERAS = ("Canon600D", "Sony", "Canon80D", "Canon5D2", "NikonD800")
NOT_IN_CBSD68 = "156065"


def rows(name: str) -> list[dict[str, Any]]:
    """Rows of ``<FEDZDA_DATA>/<name>.parquet``."""
    if "FEDZDA_DATA" not in os.environ:
        raise SystemExit("FEDZDA_DATA is not set: export FEDZDA_DATA=/folder/of/the/data")
    return pq.read_table(Path(os.environ["FEDZDA_DATA"]) / f"{name}.parquet").to_pylist()


def pixels(image: dict[str, Any]) -> torch.Tensor:
    """A decoded image."""
    array = np.array(Image.open(io.BytesIO(image["bytes"])).convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1).float() / 255


@cache
def bsds(split: str) -> list[torch.Tensor]:
    """BSDS500 photographs of ``train``, ``val`` or ``test``, in the order of their names."""
    found = sorted(rows(f"bsds500/{split}"), key=lambda row: str(row["image"]["path"]))
    return [pixels(row["image"]) for row in found]


@cache
def cbsd68() -> list[torch.Tensor]:
    """The 68 test images: the first 69 names of ``val`` without one."""
    named = {Path(row["image"]["path"]).stem: row["image"] for row in rows("bsds500/val")}
    chosen = [name for name in sorted(named)[:69] if name != NOT_IN_CBSD68]
    assert len(chosen) == 68
    return [pixels(named[name]) for name in chosen]


@cache
def set5() -> list[torch.Tensor]:
    """The five photographs of Set5."""
    return [pixels(row["image"]) for row in rows("set5/test")]


@cache
def polyu() -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Camera, noisy and clean photograph."""
    return [(r["camera"], pixels(r["noisy"]), pixels(r["clean"])) for r in rows("polyu/test")]


def cropped(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Without the last rows and columns, down to multiples."""
    height, width = (side // multiple * multiple for side in image.shape[1:])
    return image[:, :height, :width]
