"""What the trainings of the small networks share: crops of photographs, steps of Adam.

N batch, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import nn

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Frame, Pixels
from fedzda.vision.hypercon.config import TrainingConfig

Note = Callable[[int, float], None]
"""Is told the step, from 1, and the loss."""


def silent(_step: int, _loss: float) -> None:
    """Tells nobody."""


def crops(
    pictures: Sequence[Pixels], count: int, side: int, rng: np.random.Generator
) -> torch.Tensor:
    """Random squares of random pictures, mirrored half the time, ``(N, 3, side, side)``.

    Args:
        pictures: 8-bit ``(H, W, 3)``; smaller ones than ``side`` are enlarged.
        count: N.
        side: In pixels.
        rng: Chooses.
    """
    found = []
    for _ in range(count):
        picture = at_least(pictures[int(rng.integers(len(pictures)))], side)
        top = rng.integers(picture.shape[0] - side + 1)
        left = rng.integers(picture.shape[1] - side + 1)
        part = picture[top : top + side, left : left + side]
        found.append(part[:, ::-1] if rng.random() < 0.5 else part)
    return tensor_of(np.asarray(np.stack(found) / np.float32(255), np.float32))


def at_least(picture: Pixels, side: int) -> Pixels:
    """A picture whose shorter side is at least ``side`` pixels."""
    factor = side / min(picture.shape[:2])
    if factor <= 1:
        return picture
    size = (int(np.ceil(picture.shape[1] * factor)), int(np.ceil(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def tensor_of(frames: Frame) -> torch.Tensor:
    """``(N, H, W, C)`` or ``(H, W, C)`` as ``(N, C, H, W)``."""
    batch = frames if frames.ndim == 4 else frames[None]
    return torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))


def array_of(tensor_1CHW: torch.Tensor) -> Frame:
    """The only image of a batch as ``(H, W, C)``."""
    array = tensor_1CHW.detach().cpu()[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(array, dtype=np.float32)


def fit(
    network: nn.Module,
    config: TrainingConfig,
    loss_of: Callable[[], torch.Tensor],
    note: Note = silent,
) -> None:
    """Adam on fresh losses; the learning rate falls along a half cosine.

    Raises:
        UserError: The loss is no longer finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), config.lr)
    network.train()
    for step in range(1, config.steps + 1):
        rate = 0.5 * (1 + np.cos(np.pi * (step - 1) / config.steps))
        for group in optimizer.param_groups:
            group["lr"] = config.lr * rate
        loss = loss_of()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise UserError(
                f"the loss of {type(network).__name__} is {value:g} in step {step}. Lower lr "
                f"(now {config.lr:g})."
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        note(step, value)
    network.eval()
