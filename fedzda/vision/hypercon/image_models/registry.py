"""Image models by name, with weights from a file or from a training of a minute or two."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from fedzda.base import StrictConfig, UserError, numpy_rng, torch_rng
from fedzda.vision.hypercon.arrays import Pixels
from fedzda.vision.hypercon.config import InpaintingConfig, StyleConfig, TextureConfig
from fedzda.vision.hypercon.image_models.classic import bilateral, equalise, posterise, telea
from fedzda.vision.hypercon.image_models.features import Features, train_texture
from fedzda.vision.hypercon.image_models.inpainting import InpaintingNet, train_inpainting
from fedzda.vision.hypercon.image_models.style import style_network, train_style
from fedzda.vision.hypercon.layers import Padded
from fedzda.vision.hypercon.photographs import photographs, style_picture
from fedzda.vision.hypercon.training import Note, silent
from fedzda.vision.hypercon.translate import ImageModel


class BuiltIn(NamedTuple):
    """An image model that ships."""

    summary: str
    masked: bool
    """It is for clips with masks."""
    model: ImageModel | None
    """None: a network."""


BUILT_IN = {
    "posterise": BuiltIn("six levels per channel", False, posterise),
    "equalise": BuiltIn("equalised luma, six levels per channel", False, equalise),
    "bilateral": BuiltIn("edge-preserving smoothing against noise", False, bilateral),
    "telea": BuiltIn("holes filled from their border, no network", True, telea),
    "style": BuiltIn("colours and textures of a picture, trained here", False, None),
    "inpainting": BuiltIn("holes filled by partial convolutions, trained here", True, None),
}
_CONFIGS: dict[str, type[StyleConfig | InpaintingConfig]] = {
    "style": StyleConfig,
    "inpainting": InpaintingConfig,
}


def trained(
    name: str,
    seed: int = 0,
    style: Pixels | None = None,
    pictures: Sequence[Pixels] | None = None,
    config: StyleConfig | InpaintingConfig | None = None,
    note: Note = silent,
) -> tuple[nn.Module, StrictConfig]:
    """``style`` or ``inpainting`` after its short training, and its configuration.

    Args:
        name: One of the two.
        seed: Of everything random.
        style: Style picture; left out: :func:`style_picture`.
        pictures: To train on; left out: :func:`photographs`.
        config: Settings.
        note: Is told every step.
    """
    config = config or _CONFIGS[name]()
    shown = list(photographs().values()) if pictures is None else list(pictures)
    rng = numpy_rng(seed, f"hypercon-{name}")
    with torch.random.fork_rng():
        torch.random.set_rng_state(torch_rng(seed, f"hypercon-{name}").get_state())
        if isinstance(config, InpaintingConfig):
            return train_inpainting(shown, config, rng, note), config
        texture = TextureConfig(steps=max(1, config.steps // 2))
        picture = style_picture() if style is None else style
        features = Features(train_texture([*shown, picture], texture, rng))
        return train_style(picture, shown, features, config, rng, note), config


def save_network(path: Path, network: nn.Module, config: StrictConfig) -> None:
    """Write weights as safetensors with the configuration as metadata, never half."""
    partial = path.with_name(path.name + ".part")
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    try:
        save_file(tensors, partial, {"config": config.model_dump_json()})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_network(name: str, path: Path) -> nn.Module:
    """The network that :func:`save_network` wrote.

    Raises:
        UserError: No such file, damaged, or of another network.
    """
    if not path.is_file():
        raise UserError(f"there is no file of weights '{path}'. Check the path.")
    try:
        with safe_open(path, "pt") as stored:
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            metadata = stored.metadata() or {}
        config = _CONFIGS[name].model_validate_json(metadata.get("config", "{}"))
        network = _EMPTY[name](config)
        network.load_state_dict(tensors)
    except (SafetensorError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"'{path}' does not hold the weights of '{name}' ({reason}). Name a file that fedzda "
            "hypercon has written for this model."
        ) from error
    return network.eval()


def _empty_inpainting(config: StrictConfig) -> nn.Module:
    assert isinstance(config, InpaintingConfig)
    return Padded(InpaintingNet(config.width), multiple=16)


def _empty_style(config: StrictConfig) -> nn.Module:
    assert isinstance(config, StyleConfig)
    return style_network(config)


_EMPTY: dict[str, Callable[[StrictConfig], nn.Module]] = {
    "style": _empty_style,
    "inpainting": _empty_inpainting,
}


def weightless(name: str) -> ImageModel | None:
    """A built-in model without weights; None if ``name`` is a network.

    Raises:
        UserError: No such model.
    """
    if name not in BUILT_IN:
        known = ", ".join(f"{key} ({value.summary})" for key, value in BUILT_IN.items())
        raise UserError(
            f"there is no image model '{name}'. Known: {known}; or your own as module:Name."
        )
    return BUILT_IN[name].model
