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
    tuned: bool = False
    """Condensation to 8 instead of 32 channels, which leaves the widths of the baseline to the
    maps, and diffusion that starts with equal weights for all scales instead of He's."""

    @property
    def name(self) -> str:
        """Name of files and rows."""
        return f"{self.attention}-{self.fusion}-{self.decoder}{'-tuned' if self.tuned else ''}"


DEEPLAB = Arm("none", "concat", "plain")
FULL = Arm("sparsemax", "spatial", "selective")
TUNED = FULL._replace(tuned=True)
LADDER = {
    "DeepLabv3+": DEEPLAB,
    "+ GAF": Arm("sparsemax", "concat", "plain"),
    "+ selective attention": Arm("sparsemax", "spatial", "plain"),
    "GSANet": FULL,
    "GSANet, tuned": TUNED,
}
"""From the baseline to the full network, one part after the other; then the full network with what
one seed on a held-back block of every training drive chose."""
GRID = [Arm(a, f, d) for a in ATTENTIONS for f in FUSIONS for d in DECODERS]

_LITE_WIDTHS = {
    (True, True): {"channels": 40, "decoder_channels": 56, "low_channels": 40},
    (True, False): {"channels": 40, "decoder_channels": 32, "low_channels": 40},
    (False, True): {"channels": 40, "decoder_channels": 40, "low_channels": 16},
    (False, False): {"channels": 32, "decoder_channels": 32, "low_channels": 16},
}
"""(concat, plain decoder) to widths, so that all arms have the parameters of GSANet +- 0.3 %."""

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
    key = (concat or arm.tuned, plain or arm.tuned)
    widths = _LITE_WIDTHS[key] if size == "lite" else {}
    return GSANetConfig.model_validate(
        {
            **SIZES[size],
            **widths,
            "attention": arm.attention,
            "fusion": "concat" if concat else "selective",
            "condense_min": 8 if arm.tuned else 32,
            "diffuse_std": 0.0 if arm.tuned else None,
            "condense": "spatial" if concat else arm.fusion,
            "decoder": arm.decoder,
        }
    )


def build(arm: Arm, size: str, image: ImageSpec) -> nn.Module:
    """The network of an arm."""
    return GSANet(config_of(arm, size), image)
