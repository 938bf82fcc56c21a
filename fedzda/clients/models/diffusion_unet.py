"""The U-Net of a denoising diffusion model (Ho et al. 2020, arXiv 2006.11239), from diffusers, with
the moving average of its weights.

The average lives in buffers. They are averaged over clients like the statistics of BatchNorm, so
that it goes on over rounds under every strategy, and costs the traffic of a second model.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.models.config import DiffusionUNetConfig


class DiffusionUNet(nn.Module):
    """Predicts the noise in noisy images.

    In training mode a forward pass first takes the weights into their average; in eval mode the
    average answers.

    Args:
        image: The images; their sides must divide by 2 for every width but the first.
        config: Widths, depth and decay.

    Raises:
        UserError: The images do not divide, or diffusers is missing.
    """

    Config = DiffusionUNetConfig
    updates: torch.Tensor

    def __init__(self, image: ImageSpec, config: DiffusionUNetConfig) -> None:
        super().__init__()
        self.net = make_unet(image, config)
        self.decay = config.ema_decay
        self.average: nn.Module | None = None
        if self.decay:
            self.average = _as_buffers(copy.deepcopy(self.net))
            self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> DiffusionUNet:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, DiffusionUNetConfig)
        return cls(image, config)

    def forward(self, noisy_NCHW: torch.Tensor, timesteps_N: torch.Tensor) -> torch.Tensor:
        """The noise ``(N, C, H, W)`` in images with pixels in about [-1, 1]; time steps count
        from 0."""
        if self.training and self.average is not None:
            self._take_in()
        net = self.net if self.training or self.average is None else self.average
        noise: torch.Tensor = net(noisy_NCHW, timesteps_N).sample
        return noise

    def deployed(self) -> nn.Module:
        """A copy for sampling: the diffusers model alone with the average, in eval mode."""
        # deepcopy would keep the layout of convolutions that training prefers
        made: Any = copy.deepcopy(self.net)
        made.to(memory_format=torch.contiguous_format)
        if self.average is not None:
            made.load_state_dict(self.average.state_dict())
        net: nn.Module = made
        return net.eval().requires_grad_(False)

    @torch.no_grad()
    def _take_in(self) -> None:
        """As Ho et al., but with a decay of at most (1 + k) / (10 + k) after k steps."""
        assert self.average is not None
        k = int(self.updates)
        decay = min(self.decay, (1 + k) / (10 + k))
        weights = dict(self.net.named_parameters())
        for name, mean in self.average.named_buffers():
            mean.lerp_(weights[name], 1 - decay)
        self.updates += 1


def make_unet(image: ImageSpec, config: DiffusionUNetConfig) -> nn.Module:
    """A ``diffusers.UNet2DModel`` with fresh weights.

    Raises:
        UserError: The sides of the images do not divide by 2 often enough, or diffusers is missing.
    """
    try:
        from diffusers import UNet2DModel
    except ImportError as error:
        raise UserError(
            "model diffusion-unet needs diffusers (not found). Install it: pip install "
            "'fedzda[diffusion]'."
        ) from error
    channels, height, width = image.shape
    depth = len(config.widths)
    if height % 2 ** (depth - 1) or width % 2 ** (depth - 1):
        raise UserError(
            f"model.widths has {depth} resolutions, but images of {height}x{width} cannot be "
            f"halved {depth - 1} times. Give fewer widths, or images of another size."
        )
    unet: nn.Module = UNet2DModel(
        sample_size=(height, width),
        in_channels=channels,
        out_channels=channels,
        layers_per_block=config.layers,
        norm_num_groups=config.norm_groups,
        block_out_channels=tuple(config.widths),
        down_block_types=("DownBlock2D", *["AttnDownBlock2D"] * (depth - 1)),
        up_block_types=(*["AttnUpBlock2D"] * (depth - 1), "UpBlock2D"),
    )
    return unet


def _as_buffers(net: nn.Module) -> nn.Module:
    """All parameters turned into buffers, in place: they are not trained, and not optimised."""
    for module in net.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                del module._parameters[name]
                module.register_buffer(name, parameter.detach().clone())
    return net
