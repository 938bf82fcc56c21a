"""Saved synthesizers: one safetensors file that says what it was made from and how."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.generators.history import History


@dataclass(frozen=True)
class Saved:
    """A file read back.

    Attributes:
        state: What ``load_state`` takes.
        config: The synthesizer's configuration as plain data, with its ``name``.
        image: The images it makes; None in files that do not say.
        classifier: Fingerprint of the inverted classifier; empty if it was not given.
        history: Losses over the steps of the last fit.
    """

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    image: ImageSpec | None
    classifier: str
    history: dict[str, list[float]]


def save_state(
    state: Mapping[str, torch.Tensor],
    path: Path,
    config: StrictConfig,
    fingerprint: str,
    image: ImageSpec | None = None,
    history: History | None = None,
) -> None:
    """Write tensors as safetensors, never half: a temporary file first, then a rename.

    The metadata holds ``classifier``, the fingerprint of the inverted model, and as JSON
    ``config``, the synthesizer's configuration, ``image`` and ``history``.
    """
    metadata = {"classifier": fingerprint, "config": config.model_dump_json()}
    if image is not None:
        metadata["image"] = image_json(image)
    if history is not None:
        metadata["history"] = history.json()
    write_tensors(state, path, metadata)


def write_tensors(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: dict[str, str]
) -> None:
    """A safetensors file that appears complete or not at all."""
    partial = path.with_name(path.name + ".part")
    try:
        save_file({k: v.contiguous() for k, v in tensors.items()}, partial, metadata)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        UserError: There is no such file, or it is damaged or of another format.
    """
    if not path.is_file():
        raise UserError(f"there is no file '{path}'. Check the path.")
    try:
        with safe_open(path, "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return tensors, stored.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"'{path}' cannot be read as safetensors ({error}). Name a file that is complete and "
            "of this format."
        ) from error


def read_state(path: Path) -> Saved:
    """What :func:`save_state` wrote.

    Raises:
        UserError: No such file, damaged, or no saved synthesizer.
    """
    tensors, metadata = read_tensors(path)
    if "config" not in metadata:
        raise UserError(
            f"'{path}' holds tensors but no synthesizer: its metadata lack 'config'. Name a file "
            "that fedzda synthesize or a run has written."
        )
    return Saved(
        state=tensors,
        config=json.loads(metadata["config"]),
        image=image_from_json(metadata["image"]) if "image" in metadata else None,
        classifier=metadata.get("classifier", ""),
        history=json.loads(metadata.get("history", "{}")),
    )


def image_json(image: ImageSpec) -> str:
    """An :class:`ImageSpec` as JSON."""
    return json.dumps(asdict(image))


def image_from_json(text: str) -> ImageSpec:
    """What :func:`image_json` wrote."""
    raw = json.loads(text)
    channels, height, width = raw["shape"]
    return ImageSpec(
        (channels, height, width), raw["num_classes"], tuple(raw["mean"]), tuple(raw["std"])
    )
