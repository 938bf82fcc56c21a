"""A learned interpolator after Super-SloMo (Jiang et al. 2018, arXiv 1712.00080, section 3.2).

A small U-Net sees both frames, both warped frames and both intermediate flows, and gives
corrections of the flows and a visibility of each frame. The flows come from a flow method instead
of a first network (our choice), so little is left to learn; perceptual and warping losses are left
out.

N batch, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from fedzda.vision.hypercon.arrays import Flow, Frame, Pixels, to_bytes
from fedzda.vision.hypercon.config import SlomoConfig
from fedzda.vision.hypercon.flow import FlowMethod
from fedzda.vision.hypercon.interpolate import Between, intermediate_flows
from fedzda.vision.hypercon.layers import Padded, Residual, Up, convolution
from fedzda.vision.hypercon.synthetic import moving_scene
from fedzda.vision.hypercon.training import Note, array_of, at_least, fit, silent, tensor_of
from fedzda.vision.hypercon.warp import warp_batch

_INPUTS, _OUTPUTS = 16, 5
_TRIPLET_SPEED = 6.0
"""Pixels per frame of training scenes."""


def slomo_network(config: SlomoConfig) -> nn.Module:
    """16 channels to 5, zero at first, so that it starts as the plain formula."""
    w = config.width
    last = nn.Conv2d(w, _OUTPUTS, 3, padding=1)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    return Padded(
        nn.Sequential(
            convolution(_INPUTS, w, kernel=5),
            convolution(w, 2 * w, stride=2),
            convolution(2 * w, 4 * w, stride=2),
            Residual(4 * w),
            Up(4 * w, 2 * w),
            Up(2 * w, w),
            last,
        ),
        multiple=4,
    )


class Slomo:
    """An :class:`fedzda.vision.hypercon.interpolate.Interpolator` with a network.

    Args:
        network: Of :func:`slomo_network`, trained.
        flow: Motion between the two frames.
        max_flow: Of its configuration.
    """

    def __init__(self, network: nn.Module, flow: FlowMethod, max_flow: float) -> None:
        self.network, self.flow, self.max_flow = network.eval(), flow, max_flow

    @torch.inference_mode()
    def __call__(self, first: Frame, second: Frame, moments: Sequence[float]) -> list[Between]:
        """One frame for each moment; both flows are found once."""
        ends = to_bytes(first), to_bytes(second)
        flows = self.flow(*ends), self.flow(*ends[::-1])
        pair = tensor_of(first), tensor_of(second)
        made = []
        for s in moments:
            start = [tensor_of(flow) for flow in intermediate_flows(*flows, s)]
            moment = torch.tensor([s])
            frame, *found = refined(self.network, pair, start, moment, self.max_flow)
            made.append(Between(array_of(frame), array_of(found[0]), array_of(found[1])))
        return made


def refined(
    network: nn.Module,
    pair: tuple[torch.Tensor, torch.Tensor],
    flows: Sequence[torch.Tensor],
    moments_N: torch.Tensor,
    max_flow: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The frames at ``moments_N``, and the corrected flows to both ends ``(N, 2, H, W)``.

    Args:
        network: See above.
        pair: First and last frames ``(N, 3, H, W)``.
        flows: From the frames between to the first and to the last ones.
        moments_N: Between 0 and 1.
        max_flow: Largest correction in pixels.
    """
    warped = [warp_batch(image, flow) for image, flow in zip(pair, flows, strict=True)]
    small = [flow / max_flow for flow in flows]
    out = network(torch.cat((*pair, *warped, *small), dim=1))
    better = [
        flow + max_flow * torch.tanh(part)
        for flow, part in zip(flows, (out[:, :2], out[:, 2:4]), strict=True)
    ]
    seen = torch.sigmoid(out[:, 4:])
    s = moments_N.view(-1, 1, 1, 1)
    weights = (1 - s) * seen, s * (1 - seen)
    sides = [w * warp_batch(i, f) for w, i, f in zip(weights, pair, better, strict=True)]
    frame = (sides[0] + sides[1]) / (weights[0] + weights[1]).clamp(min=1e-6)
    return frame, better[0], better[1]


def train_slomo(
    pictures: Sequence[Pixels],
    flow: FlowMethod,
    config: SlomoConfig,
    rng: np.random.Generator,
    note: Note = silent,
) -> nn.Module:
    """A network trained to find the middle one of three frames of synthetic scenes.

    Args:
        pictures: What the scenes are made of.
        flow: That the interpolator will use.
        config: Settings.
        rng: Chooses scenes; weights come from torch's global stream.
        note: Is told every step.
    """
    network = slomo_network(config)

    def loss() -> torch.Tensor:
        scenes = [_triplet(pictures, config.crop, rng) for _ in range(config.batch_size)]
        starts = [_start(scene, flow) for scene in scenes]
        batch = [tensor_of(np.stack(part)) for part in zip(*scenes, strict=True)]
        flows = [tensor_of(np.stack(part)) for part in zip(*starts, strict=True)]
        middle = torch.full((config.batch_size,), 0.5)
        frame, *_ = refined(network, (batch[0], batch[2]), flows, middle, config.max_flow)
        return (frame - batch[1]).abs().mean()

    fit(network, config, loss, note)
    return network


def _triplet(
    pictures: Sequence[Pixels], side: int, rng: np.random.Generator
) -> tuple[Frame, Frame, Frame]:
    """Three frames, the middle one exact."""
    places = rng.integers(len(pictures), size=2)
    back, front = (at_least(pictures[place], side) for place in places)
    scene = moving_scene((back, front), 3, (side, side), _TRIPLET_SPEED, rng)
    return scene[0], scene[1], scene[2]


def _start(scene: tuple[Frame, Frame, Frame], flow: FlowMethod) -> tuple[Flow, Flow]:
    ends = to_bytes(scene[0]), to_bytes(scene[2])
    return intermediate_flows(flow(*ends), flow(*ends[::-1]), 0.5)
