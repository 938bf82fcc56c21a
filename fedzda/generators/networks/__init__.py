"""Networks that turn noise, and labels where they are conditional, into images.

| name | where a label enters | layout | emits |
|---|---|---|---|
| ``transposed`` | embedding beside z | our own, small: transposed convolutions | [0, 1] |
| ``dafl32`` | embedding beside z | DAFL's | normalised |
| ``wide32`` | embedding beside z | wide start map at an eighth of the size | normalised |
| ``large`` | embedding beside z | CMI's | [0, 1] |
| ``cond-mul`` | embedding times z | as ``dafl32`` | normalised |
| ``cond-bn`` | BatchNorm of every block | as ``dafl32``, start map never limited | normalised |

All make images of any size. The first four can do without labels.
"""

from __future__ import annotations

from fedzda.base import ImageSpec, UserError
from fedzda.generators.config import NetworkName
from fedzda.generators.networks.base import Generator
from fedzda.generators.networks.transposed import TransposedGenerator
from fedzda.generators.networks.upsampling import FAMILIES, UpsamplingGenerator

__all__ = ["Generator", "TransposedGenerator", "UpsamplingGenerator", "build_network"]


def build_network(
    name: NetworkName,
    image: ImageSpec,
    z_size: int,
    embedding_size: int,
    channels: int | None = None,
    *,
    conditional: bool = True,
    clamp: bool = True,
) -> Generator:
    """A new network; its weights come from torch's global stream.

    Args:
        name: One of the table above.
        image: Shape of the images, number of classes, and the normalisation.
        z_size: Dimensions of the noise.
        embedding_size: Dimensions of the label embedding, where it stands beside the noise.
        channels: Channels of the start map, later maps in proportion; None: the network's own.
        conditional: Whether ``forward`` takes labels.
        clamp: Whether a classifier sees pixels kept to [0, 1], whatever the head emits.

    Raises:
        UserError: ``conditional`` is off for a network that cannot do without labels.
    """
    if name == "transposed":
        return TransposedGenerator(image, z_size, embedding_size, channels, conditional=conditional)
    made = _upsampling(name, image, z_size, embedding_size, channels, conditional)
    made.clamped = clamp
    return made


def _upsampling(
    name: NetworkName,
    image: ImageSpec,
    z_size: int,
    embedding_size: int,
    channels: int | None,
    conditional: bool,
) -> UpsamplingGenerator:
    family = FAMILIES[name]
    if family.labels in ("multiply", "norm") and not conditional:
        raise UserError(
            f"network is '{name}', which needs labels, but the generator is unconditional. Choose "
            "transposed, dafl32, wide32 or large, or a conditional generator."
        )
    return UpsamplingGenerator(
        family, image, z_size, embedding_size, channels, conditional=conditional
    )
