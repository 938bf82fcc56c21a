"""Generators as artifacts of a run, and what a model needs to be inverted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fedzda.base import torch_rng
from fedzda.generators.sheet import save_sheet
from fedzda.platform.parts import build_synthesizer
from fedzda.platform.setting import Setting

_SHEET_PER_CLASS = 8


def save_generator(
    setting: Setting,
    synthesizer: dict[str, Any],
    state: dict[str, Any],
    folder: Path,
    server_round: int,
) -> None:
    """Write ``generator.safetensors`` and a sample sheet, one row of images per class.

    The file says how it was made (:func:`fedzda.generators.files.read_state`), so that commands can
    go on with the generator.
    """
    maker = build_synthesizer(synthesizer)
    maker.load_state({name: torch.as_tensor(value) for name, value in state.items()}, setting.image)
    maker.save(folder / "generator.safetensors")
    labels = torch.arange(setting.image.num_classes).repeat_interleave(_SHEET_PER_CLASS)
    images = maker.sample(labels, torch_rng(setting.seed, "sheet", server_round))
    save_sheet(images, labels, folder / f"samples-round-{server_round:06d}.png")


def require_batchnorm(model: torch.nn.Module) -> None:
    """Raise UserError if the model keeps no BatchNorm statistics."""
    from fedzda.generators.bn_match import BNMatch

    BNMatch(model).close()
