"""A small classifier trained on the spot, in whose features sets of images are compared.

Its figures are not those of Inception features: compare them with each other only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fedzda.base import ImageSpec, numpy_rng
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.compression.diffusion.distances import density, kernel_mmd
from fedzda.generators.features import coverage, frechet_distance, logits_and_features

_BATCH = 64
_LR = 2e-3


def train_judge(
    pixels_NCHW: torch.Tensor, labels_N: torch.Tensor, image: ImageSpec, seed: int, steps: int = 600
) -> nn.Module:
    """LeNet with BatchNorm after Adam on batches of 64, in eval mode.

    Args:
        pixels_NCHW: In [0, 1].
        labels_N: Their classes.
        image: The images.
        seed: Of the first weights and of the batches.
        steps: Of Adam.
    """
    rng = numpy_rng(seed, "judge")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        model = LeNetBN(image.shape[0], image.num_classes, image.shape[1:])
    model.to(pixels_NCHW.device)
    adam = torch.optim.Adam(model.parameters(), _LR)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(len(labels_N), size=_BATCH)).to(labels_N.device)
        adam.zero_grad()
        logits = model(image.normalize(pixels_NCHW[rows]))
        torch.autograd.backward(nn.functional.cross_entropy(logits, labels_N[rows]))
        adam.step()
    return model.eval()


def compare_sets(
    judge: nn.Module, real_NCHW: torch.Tensor, made_MCHW: torch.Tensor, image: ImageSpec
) -> dict[str, float]:
    """How alike two sets of pixels in [0, 1] are.

    Returns:
        ``frechet`` and ``kernel_mmd`` (0 is best), ``density`` (about 1 is best) and ``coverage``
        (1 is best) in the judge's features, and ``class_gap`` in [0, 1]: the total variation
        between the classes that the judge sees in both. The smaller set should have more images
        than features (64).
    """
    real_logits, real = logits_and_features(judge, real_NCHW, image)
    made_logits, made = logits_and_features(judge, made_MCHW, image)
    shares = [
        np.bincount(logits.argmax(1).numpy(), minlength=image.num_classes) / len(logits)
        for logits in (real_logits, made_logits)
    ]
    return {
        "frechet": frechet_distance(real, made),
        "kernel_mmd": kernel_mmd(real, made),
        "density": density(real, made),
        "coverage": coverage(real, made),
        "class_gap": float(np.abs(shares[0] - shares[1]).sum() / 2),
    }
