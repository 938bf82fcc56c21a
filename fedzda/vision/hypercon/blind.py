"""Blind video consistency (Lai et al. 2018, arXiv 1808.00449), small: a baseline.

A recurrent network sees two input frames, the image model's result and its own last output, and
corrects the result. Layers, losses and their weights follow public code
(phoenix104104/fast_blind_video_consistency) as far as ``config.py`` says; the content loss is a
difference of high-passes, since no VGG weights ship, and norms are left out, as that code leaves
them out by accident. Motion in training is exact: clips are camera paths over photographs.

N batch, T frames, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from fedzda.vision.hypercon.arrays import Frame, Pixels, as_frame
from fedzda.vision.hypercon.config import BlindConfig
from fedzda.vision.hypercon.layers import Residual, Up, convolution
from fedzda.vision.hypercon.synthetic import camera_path
from fedzda.vision.hypercon.training import Note, array_of, at_least, fit, silent, tensor_of
from fedzda.vision.hypercon.translate import ImageModel, translate
from fedzda.vision.hypercon.warp import warp_batch

State = tuple[torch.Tensor, torch.Tensor]
_RESIDUALS = 5
_SPEED = 5.0
"""Pixels per frame of training clips."""


class ConvLSTM(nn.Module):
    """A recurrent cell of 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)

    def forward(self, x_NCHW: torch.Tensor, state: State | None) -> State:
        """New hidden and cell state."""
        empty = torch.zeros_like(x_NCHW)
        hidden, cell = state or (empty, empty)
        gates = self.gates(torch.cat((x_NCHW, hidden), dim=1)).chunk(4, dim=1)
        inside, forget, out = (torch.sigmoid(gate) for gate in gates[:3])
        cell = forget * cell + inside * torch.tanh(gates[3])
        return out * torch.tanh(cell), cell


class TransformNet(nn.Module):
    """Two encoders, residual blocks, ConvLSTM, two doublings; ``O_t = P_t + output``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.enter = nn.ModuleList(convolution(6, w, kernel=7) for _ in range(2))
        self.halve = nn.ModuleList(convolution(w, 2 * w, stride=2) for _ in range(2))
        self.join = convolution(4 * w, 4 * w, stride=2)
        self.residuals = nn.Sequential(*(Residual(4 * w) for _ in range(_RESIDUALS)))
        self.memory = ConvLSTM(4 * w)
        self.up = nn.ModuleList([Up(4 * w, 2 * w), Up(4 * w, w)])
        self.leave = nn.Conv2d(2 * w, 3, 7, padding=3, padding_mode="reflect")

    def forward(
        self, inputs_N12HW: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """``P_t, O_(t-1), I_t, I_(t-1)`` to ``O_t``; sides are multiples of 4."""
        streams = torch.split(inputs_N12HW, 6, dim=1)
        full = [layer(part) for layer, part in zip(self.enter, streams, strict=True)]
        half = [layer(part) for layer, part in zip(self.halve, full, strict=True)]
        state = self.memory(self.residuals(self.join(torch.cat(half, dim=1))), state)
        out = self.up[0](state[0])
        out = self.up[1](torch.cat((out, half[0]), dim=1))
        out = self.leave(torch.cat((out, full[0]), dim=1))
        return inputs_N12HW[:, :3] + torch.tanh(out), state


class Batch(NamedTuple):
    """Training clips, a tensor per frame or step."""

    inputs: list[torch.Tensor]
    """``(N, 3, H, W)``."""
    results: list[torch.Tensor]
    """Of the image model."""
    back: list[torch.Tensor]
    """Motion ``(N, 2, H, W)`` from each frame but the first to the one before."""


def train_blind(
    pictures: Sequence[Pixels],
    model: ImageModel,
    config: BlindConfig,
    rng: np.random.Generator,
    note: Note = silent,
) -> TransformNet:
    """A network that makes the results of ``model`` consistent.

    Args:
        pictures: What clips are made of.
        model: The image model; it sees every frame with fresh noise, which is what flickers.
        config: Settings.
        rng: Chooses clips and noise; weights come from torch's global stream.
        note: Is told every step.
    """
    network = TransformNet(config.width)
    fit(network, config, lambda: _loss(network, _batch(pictures, model, config, rng), config), note)
    return network


_NOISE = 12 / 255


def _batch(
    pictures: Sequence[Pixels], model: ImageModel, config: BlindConfig, rng: np.random.Generator
) -> Batch:
    """Clips run backwards, so that the motion that is known leads to the frame before."""
    size = (config.crop, config.crop)
    inputs, results, back = [], [], []
    for _ in range(config.batch_size):
        picture = at_least(pictures[int(rng.integers(len(pictures)))], config.crop)
        clip = camera_path(picture, config.frames, size, _SPEED, rng)
        noisy = [_noisy(frame, rng) for frame in clip.frames[::-1]]
        inputs.append(noisy)
        results.append([translate(model, frame, None, t) for t, frame in enumerate(noisy)])
        back.append(clip.flows[::-1])
    return Batch(
        *([_stacked(part) for part in zip(*rows, strict=True)] for rows in (inputs, results, back))
    )


def _stacked(frames: Iterable[npt.NDArray[np.float32]]) -> torch.Tensor:
    return tensor_of(np.stack(list(frames)))


def _noisy(frame: Frame, rng: np.random.Generator) -> Frame:
    noise = rng.standard_normal(frame.shape, np.float32) * np.float32(_NOISE)
    return np.asarray(np.clip(frame + noise, 0, 1), np.float32)


def _loss(network: TransformNet, batch: Batch, config: BlindConfig) -> torch.Tensor:
    """Short-term, long-term and content loss; what came before a step is detached."""
    first = last = batch.results[0]
    total = torch.zeros(())
    state: State | None = None
    from_first: torch.Tensor | None = None
    for t in range(1, config.frames):
        now, before, result = batch.inputs[t], batch.inputs[t - 1], batch.results[t]
        out, state = network(torch.cat((result, last, now, before), dim=1), state)
        state = (state[0].detach(), state[1].detach())
        flow = batch.back[t - 1]
        seen = _seen(now, before, flow, config.visibility)
        total = total + config.short_weight * ((out - warp_batch(last, flow)) * seen).abs().mean()
        from_first = flow if from_first is None else flow + warp_batch(from_first, flow)
        if t > 1:
            seen = _seen(now, batch.inputs[0], from_first, config.visibility)
            far = ((out - warp_batch(first, from_first)) * seen).abs().mean()
            total = total + config.long_weight * far
        total = total + config.content_weight * (_high(out) - _high(result)).abs().mean()
        last = out.detach()
    return total / (config.frames - 1)


def _seen(
    now: torch.Tensor, other: torch.Tensor, flow: torch.Tensor, visibility: float
) -> torch.Tensor:
    gap = (now - warp_batch(other, flow)).square().sum(dim=1, keepdim=True)
    return torch.exp(-visibility * gap)


def _high(images_NCHW: torch.Tensor) -> torch.Tensor:
    return images_NCHW - functional.avg_pool2d(images_NCHW, 5, 1, 2, count_include_pad=False)


@torch.inference_mode()
def run_blind(
    network: TransformNet, video: Iterable[npt.NDArray[Any]], model: ImageModel
) -> Iterator[Frame]:
    """The image model's results, corrected; the first one stays as it is."""
    state: State | None = None
    before: Frame | None = None
    last: Frame | None = None
    for index, found in enumerate(video):
        size = None if before is None else (before.shape[0], before.shape[1])
        frame = as_frame(found, index, size)
        result = translate(model, frame, None, index)
        if before is not None and last is not None:
            inputs = tensor_of(np.concatenate((result, last, frame, before), axis=2))
            height, width = inputs.shape[2:]
            padded = functional.pad(inputs, (0, -width % 4, 0, -height % 4), mode="replicate")
            out, state = network(padded, state)
            result = array_of(out[:, :, :height, :width].clamp(0, 1))
        before, last = frame, result
        yield result
