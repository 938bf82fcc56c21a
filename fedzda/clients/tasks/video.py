"""Consistency of an image model on a client's own clip; only scalars leave the client.

Needs OpenCV (the extra ``vision``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from fedzda.vision.hypercon.arrays import Frame
from fedzda.vision.hypercon.config import HyperConConfig
from fedzda.vision.hypercon.flow import make_flow
from fedzda.vision.hypercon.metrics import clip_psnr, motions, warping_error
from fedzda.vision.hypercon.pipeline import HyperCon
from fedzda.vision.hypercon.training import array_of, tensor_of


def clip_figures(
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
    model: Callable[[torch.Tensor], torch.Tensor],
    config: HyperConConfig,
) -> dict[str, float]:
    """Figures of a clip frame by frame, and made consistent by HyperCon.

    Motion is that of the clean clip. A warping error is never to be read without the fidelity
    beside it: a constant clip has none.

    Args:
        pairs: Noisy and clean frames ``(1, C, H, W)`` in [0, 1], in order.
        model: The image model, in eval mode.
        config: Settings of HyperCon.

    Returns:
        ``warping_error_framewise`` and ``warping_error`` (mean squared change along the motion, in
        [0, 1]), ``fidelity_framewise`` and ``fidelity`` (PSNR in dB to the clean frames), and
        ``frames``. Empty for clips of one frame, and where no pixel of a frame is seen in the next.
    """
    if len(pairs) < 2:
        return {}
    truth = [_frame(clean) for _, clean in pairs]
    steps = list(motions(truth, make_flow(config.flow, config.flow_weights)))
    if not any(step.visible.any() for step in steps):
        return {}

    def image_model(frame: Frame) -> Frame:
        channels = pairs[0][0].shape[1]
        return _frame(model(tensor_of(frame)[:, :channels]))

    results = list(HyperCon(config).results((_frame(noisy) for noisy, _ in pairs), image_model))
    alone, consistent = ([getattr(r, name) for r in results] for name in ("alone", "frame"))
    return {
        "warping_error_framewise": warping_error(alone, steps),
        "warping_error": warping_error(consistent, steps),
        "fidelity_framewise": clip_psnr(alone, truth),
        "fidelity": clip_psnr(consistent, truth),
        "frames": float(len(pairs)),
    }


def _frame(image_1CHW: torch.Tensor) -> Frame:
    """Grey images become three equal channels."""
    return np.asarray(array_of(image_1CHW.expand(-1, 3, -1, -1)), np.float32)
