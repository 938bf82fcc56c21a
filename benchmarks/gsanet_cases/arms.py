"""What is compared: heads of equal size on one feature network."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

from fedzda.base import ImageSpec
from fedzda.vision.gsanet.config import GSANetConfig, MobileNetEdgeConfig, XceptionConfig
from fedzda.vision.gsanet.model import GSANet

ATTENTIONS = ("none", "softmax", "sparsemax")
FUSIONS = ("concat", "global", "spatial")
DECODERS = ("plain", "selective")


class Arm(NamedTuple):
    """One combination of the three parts of the head."""

    attention: str
    """``none`` is average pooling."""
    fusion: str
    """``concat``, or selective attention with ``global`` or ``spatial`` condensation."""
    decoder: str

    @property
    def name(self) -> str:
        """Name of files and rows."""
        return f"{self.attention}-{self.fusion}-{self.decoder}"


DEEPLAB = Arm("none", "concat", "plain")
FULL = Arm("sparsemax", "spatial", "selective")
LADDER = {
    "DeepLabv3+": DEEPLAB,
    "+ GAF": Arm("sparsemax", "concat", "plain"),
    "+ selective attention": Arm("sparsemax", "spatial", "plain"),
    "GSANet": FULL,
}
"""From the baseline to the full network, one part after the other."""
GRID = [Arm(a, f, d) for a in ATTENTIONS for f in FUSIONS for d in DECODERS]

_LITE_WIDTHS = {
    (True, True): {"channels": 40, "decoder_channels": 56, "low_channels": 40},
    (True, False): {"channels": 40, "decoder_channels": 32, "low_channels": 40},
    (False, True): {"channels": 40, "decoder_channels": 40, "low_channels": 16},
    (False, False): {"channels": 32, "decoder_channels": 32, "low_channels": 16},
}
"""(concat, plain decoder) to widths, so that all arms have the parameters of GSANet +- 0.1 %."""

SIZES: dict[str, dict[str, Any]] = {
    "lite": {
        "features": MobileNetEdgeConfig(width=0.5, stages=2),
        "output_stride": 8,
        "norm": "group",
        "rates": [1, 2, 4],
    },
    "mobilenet-edge": {"features": MobileNetEdgeConfig(), "output_stride": 8, "norm": "group"},
    "xception": {"features": XceptionConfig(), "output_stride": 8, "norm": "group"},
}
"""``lite`` (EdgeSegLite) is for a CPU; the others, with widths of 256, are for a GPU."""


def config_of(arm: Arm, size: str) -> GSANetConfig:
    """The model block of an arm."""
    concat, plain = arm.fusion == "concat", arm.decoder == "plain"
    widths = _LITE_WIDTHS[concat, plain] if size == "lite" else {}
    return GSANetConfig.model_validate(
        {
            **SIZES[size],
            **widths,
            "attention": arm.attention,
            "fusion": "concat" if concat else "selective",
            "condense": "spatial" if concat else arm.fusion,
            "decoder": arm.decoder,
        }
    )


def build(arm: Arm, size: str, image: ImageSpec) -> nn.Module:
    """The network of an arm."""
    return GSANet(config_of(arm, size), image)
