"""Configuration of methods with generated features or images other than Fed-ZDA."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import Slot
from fedzda.strategies.config.mean import MeanConfig
from fedzda.strategies.config.zda import FILLS


class FedGenConfig(MeanConfig):
    """FedGen: a generator of features, learned at the server."""

    amounts: ClassVar[tuple[str, ...]] = ("generator_steps",)
    classifies = "makes features for a classifier's last layer"

    name: Literal["fed-gen"] = "fed-gen"
    alpha: float = Field(default=1.0, ge=0)
    """Weight of the loss on generated features; 0 is FedAvg (the authors' code: 10)."""
    decay: float = Field(default=0.98, gt=0, le=1)
    """Factor on ``alpha`` per round (the authors' code: 0.98)."""
    generator_steps: int = Field(default=50, ge=1)
    """Steps of the generator per round (the authors' code: 50)."""
    generator_lr: float = Field(default=1e-3, gt=0)
    """Step size of the generator's Adam (the authors' code: 3e-4)."""
    generator_batch_size: int = Field(default=64, ge=2)
    """Features per step."""
    diversity_weight: float = Field(default=1.0, ge=0)
    """Weight of the diversity term (the authors' code: 1)."""
    z_size: int = Field(default=32, ge=1)
    """Dimensions of the noise (the authors' code: 32 on MNIST)."""
    hidden: int = Field(default=256, ge=1)
    """Units of the generator's hidden layer (the authors' code: 256 on MNIST)."""


class FedCOGConfig(MeanConfig):
    """FedCOG-like: distillation of the received model on complementary images."""

    fast: ClassVar[dict[str, int]] = {"start_round": 1}
    begins: ClassVar[tuple[str, ...]] = ("start_round",)
    no_scenario = FILLS
    classifies = "makes images of the classes that clients lack"

    name: Literal["fed-cog"] = "fed-cog"
    start_round: int = Field(default=3, ge=1)
    """First round with images (the authors' code: 50 of 70)."""
    fill: Literal["to_max", "to_mean", "every_class"] = "to_max"
    """How many images of each class, as in ``fed-zdac`` (the authors' code: to_max, uncapped)."""
    cap: float = Field(default=1.0, gt=0)
    """Largest number of images per class, as in ``fed-zdac``."""
    synthesizer: Annotated[SerializeAsAny[StrictConfig], Slot("synthesizers")] = Field(
        default={"name": "image-distillation", "preset": "fedcog"}  # type: ignore[assignment]
    )
    """How images are made; the client's last model is its student (the authors' code: 500 steps,
    batches of 256)."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature of the distillation (the authors' code: 1)."""
