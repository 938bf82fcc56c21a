"""Networks by the name of their configuration.

>>> from fedzda.vision.restoration.config import DnCNNConfig
>>> build(DnCNNConfig(), channels=3)                                           # doctest: +SKIP
"""

from __future__ import annotations

from torch import nn

from fedzda.base import StrictConfig, UserError
from fedzda.vision.restoration.networks.base import RestorationModel
from fedzda.vision.restoration.networks.discriminators import PatchDiscriminator, UNetDiscriminator
from fedzda.vision.restoration.networks.dncnn import DnCNN
from fedzda.vision.restoration.networks.imdn import IMDN
from fedzda.vision.restoration.networks.mcu_net import MCUNet
from fedzda.vision.restoration.networks.mrdn import MRDN
from fedzda.vision.restoration.networks.mwrcanet import MWRCANet
from fedzda.vision.restoration.networks.nafnet import NAFNet
from fedzda.vision.restoration.networks.rrdb_net import RRDBNet
from fedzda.vision.restoration.networks.sr_residual import SRResidual

DENOISERS: tuple[type[RestorationModel], ...] = (DnCNN, MRDN, MCUNet, MWRCANet, NAFNet)
UPSCALERS: tuple[type[RestorationModel], ...] = (RRDBNet, SRResidual, IMDN)
DISCRIMINATORS: tuple[type[PatchDiscriminator] | type[UNetDiscriminator], ...] = (
    PatchDiscriminator,
    UNetDiscriminator,
)


def build(config: StrictConfig, channels: int) -> nn.Module:
    """The network of a configuration for images of ``channels`` channels.

    Raises:
        UserError: A configuration of something else.
    """
    made: dict[type[StrictConfig], type[nn.Module]] = {
        cls.Config: cls for cls in (*DENOISERS, *UPSCALERS, *DISCRIMINATORS)
    }
    if type(config) not in made:
        names = ", ".join(sorted(cls.__name__ for cls in made))
        raise UserError(f"config: a network needs one of {names} (got {type(config).__name__}).")
    return made[type(config)](config, channels)
