"""The ground everything stands on: strict configs, errors, random streams and two protocols.

This module imports nothing of ours, and neither torch nor Flower at import time, so that
reading a configuration stays fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch
    from torch import nn


class StrictConfig(BaseModel):
    """Base of every configuration block: strict types, frozen, unknown keys refused.

    The text under a field is its description in the JSON schema and in ``fedzda explain``.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    fast: ClassVar[Mapping[str, Any]] = {}
    """What ``fedzda run --fast`` sets in a block of this class, ``{key: value}``, so that two tiny
    rounds still go through everything the component does."""


class FedzdaError(Exception):
    """Root of all errors that fedzda raises on purpose."""


class UserError(FedzdaError):
    """The input of the user is wrong (exit code 2). Carries all problems, not the first only.

    Args:
        *problems: One sentence each: parameter, rule, value found, way out.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RunError(FedzdaError):
    """The simulation failed while running (exit code 1)."""


# ---------------------------------------------------------------------------------------------
# Random streams: a function of (seed, purpose, keys), never of call order or worker count.


def stream(seed: int, purpose: str, *keys: int) -> np.random.SeedSequence:
    """The random stream of one purpose, for example ``stream(0, "batches", round, client)``.

    Two calls with equal arguments give equal streams; any difference gives an independent one.
    """
    tag = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "little")
    return np.random.SeedSequence([seed, tag, *(key & 0xFFFFFFFFFFFFFFFF for key in keys)])


def numpy_rng(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """A NumPy generator on :func:`stream`."""
    return np.random.default_rng(stream(seed, purpose, *keys))


def torch_rng(seed: int, purpose: str, *keys: int) -> torch.Generator:
    """A CPU torch generator on :func:`stream`."""
    import torch

    words = stream(seed, purpose, *keys).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))


def fingerprint(arrays: Mapping[str, Any]) -> str:
    """Sixteen hex digits that identify a set of named arrays or tensors by content."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = arrays[name]
        array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


# ---------------------------------------------------------------------------------------------
# What generators, compression and the simulator agree on.


@dataclass(frozen=True)
class ImageSpec:
    """The images a classifier was trained on.

    Attributes:
        shape: ``(channels, height, width)``.
        num_classes: Number of classes, labels are ``0 .. num_classes - 1``.
        mean: Per-channel mean of pixels in [0, 1]; a model sees ``(pixel - mean) / std``.
        std: Per-channel standard deviation of pixels in [0, 1].
    """

    shape: tuple[int, int, int]
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalize(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] to what the model sees."""
        mean = pixels_NCHW.new_tensor(self.mean).view(1, -1, 1, 1)
        std = pixels_NCHW.new_tensor(self.std).view(1, -1, 1, 1)
        return (pixels_NCHW - mean) / std


@runtime_checkable
class Synthesizer(Protocol):
    """Makes labelled images from a frozen classifier alone, without data."""

    def fit(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> dict[str, float]:
        """Learn from ``classifier`` (eval mode, takes normalised images) the given ``classes``.

        A second call continues from the state reached (warm start). Returns figures of the fit:
        at least ``agreement`` (share of samples that the classifier gives their label) and
        ``bn_loss``. Raises :class:`UserError` if the classifier has no BatchNorm statistics.
        """
        ...

    def sample(self, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """One image per label, ``(N, C, H, W)`` float32 in [0, 1] (not normalised)."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Everything ``sample`` needs, as tensors."""
        ...

    def load_state(self, state: Mapping[str, torch.Tensor], image: ImageSpec) -> None:
        """Take over a :meth:`state`."""
        ...

    def save(self, path: Path, classifier_fingerprint: str = "") -> None:
        """Write ``state`` as safetensors with the classifier's fingerprint as metadata."""
        ...


@dataclass(frozen=True)
class Turn:
    """Who makes a device model, when, and whether to train it."""

    seed: int
    client: int
    round: int
    training: bool


@dataclass(frozen=True)
class Cost:
    """What a form of a model takes on a device.

    Attributes:
        parameters: Trained values.
        bytes: Size of the form as it is deployed.
        training_bytes: What training must hold: weights, buffers and gradients.
        macs: Multiply-adds of a forward pass on one sample; of all sampling steps of one image,
            where the model is a diffusion model.
        activation_bytes: Largest input and output of one layer together, for one sample.
    """

    parameters: int
    bytes: int
    training_bytes: int
    macs: int
    activation_bytes: int


@runtime_checkable
class Variant(Protocol):
    """A form of the global model that a device can afford.

    Made as ``Variant(config, model, image)`` once per process; ``model`` is the architecture,
    ``image`` what it takes in a test.
    """

    personal: bool
    """Whether :meth:`deploy` depends on the client's samples."""

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """A device model with the weights of the global ``model``, which is not changed."""
        ...

    def calibrate(self, device_model: nn.Module, images_NCHW: torch.Tensor) -> None:
        """Before training: look at some of the client's normalised images."""
        ...

    def hooks(self) -> Sequence[Any]:
        """Steps of its own in local training (:class:`fedzda.clients.hooks.base.Hook`)."""
        ...

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """What is evaluated, from :meth:`build`'s model and the client's normalised training
        images ``(N, C, H, W)`` (None unless ``personal``)."""
        ...

    def to_global(
        self, device_model: nn.Module, turn: Turn
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Arrays in the shapes of the global model, and their coverage.

        Coverage holds a bool array for every name of which not all entries were trained; the
        entries that it calls False mean nothing.
        """
        ...

    def cost(self) -> Cost:
        """What it takes on the images of the run."""
        ...
