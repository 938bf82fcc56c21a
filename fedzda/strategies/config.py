"""Configuration of fedzda's own strategies (imports neither torch nor Flower).

The papers on zero-shot data augmentation publish no settings: every default is our choice.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import Slot, StrategyConfig


class FedAvgConfig(StrategyConfig):
    """Federated averaging."""

    privacy = "any"
    name: Literal["fed-avg"] = "fed-avg"


class SynthesisConfig(StrategyConfig):
    """What both ends share."""

    synthesizer: Annotated[SerializeAsAny[StrictConfig], Slot("synthesizers")] = Field(
        default={"name": "zs-cgan"}  # type: ignore[assignment]
    )
    """How images are made from a frozen classifier."""


class ClientSideConfig(StrictConfig):
    """Fed-ZDAC: what clients do with synthetic images."""

    fast: ClassVar[dict[str, int]] = {"start_round": 1}

    start_round: int = Field(default=3, ge=1)
    """First round with synthetic images: an early model gives images without meaning."""
    gate_agreement: float = Field(default=0.5, ge=0, le=1)
    """Synthetic images are used in a round only if the classifier agrees with at least this share
    of their labels."""
    share: Literal["round", "client"] = "round"
    """One inversion per round, shared by all clients that received the same model (``round``), or
    one by every client for itself (``client``), as on real devices. The result is of the same
    kind; the cost of the simulation is not."""
    warm_start: bool = True
    """Continue from the generator of the round before (``share: round`` only)."""
    fill: Literal["to_max", "to_mean"] = "to_max"
    """Every class is filled up to the client's largest class, or to its mean over the classes it
    has."""
    cap: float = Field(default=1.0, gt=0)
    """Largest number of synthetic images per class, as a multiple of the client's samples divided
    by the number of classes."""
    loss_mix: Literal["equal", "count"] = "equal"
    """One shuffled set (``equal``), or a real and a synthetic batch per step, weighted by the
    number of real and synthetic samples (``count``, the rule of FedCOG, arXiv 2312.05966)."""


class ServerSideConfig(StrictConfig):
    """Fed-ZDAS: what the server does with the clients' models."""

    fast: ClassVar[dict[str, int]] = {"server_start_round": 1}

    server_start_round: int = Field(default=5, ge=1)
    """First round with synthetic images at the server."""
    server_synthesizer: Annotated[SerializeAsAny[StrictConfig] | None, Slot("synthesizers")] = None
    """How the server makes images; left out: as ``synthesizer`` says."""
    server_group_size: int = Field(default=3, ge=1)
    """Client models inverted together (mean of their logits and of their BatchNorm terms); 1: each
    by itself, the letter of the patent's claim."""
    server_classes: Literal["all", "known"] = "all"
    """Classes made from a group of models: all, or those its clients hold (they then report their
    class counts)."""
    server_keep: Literal["all", "recognised"] = "recognised"
    """Use all images, or those to which the inverted models give their label."""
    server_targets: Literal["hard", "soft"] = "hard"
    """Train the average on the labels asked for, or on the inverted models' probabilities."""
    server_images: int = Field(default=128, ge=2)
    """Images made from each group."""
    server_steps: int = Field(default=20, ge=1)
    """Gradient steps of the averaged model on the union of all images."""
    server_lr: float = Field(default=0.003, gt=0)
    """Step size of these steps (plain SGD)."""
    server_batch_size: int = Field(default=64, ge=2)
    """Batch size of these steps."""
    server_batchnorm: Literal["frozen", "update"] = "frozen"
    """Keep the averaged BatchNorm statistics, or let synthetic batches move them."""
    server_warm_start: bool = True
    """Continue from a generator of the round before."""


class FedZDACConfig(SynthesisConfig, ClientSideConfig):
    """Zero-shot data augmentation at the clients."""

    name: Literal["fed-zdac"] = "fed-zdac"


class FedZDASConfig(SynthesisConfig, ServerSideConfig):
    """Zero-shot data augmentation at the server."""

    name: Literal["fed-zdas"] = "fed-zdas"


class FedZDAConfig(SynthesisConfig, ClientSideConfig, ServerSideConfig):
    """Zero-shot data augmentation at both ends."""

    fast: ClassVar[dict[str, int]] = {**ClientSideConfig.fast, **ServerSideConfig.fast}
    name: Literal["fed-zda"] = "fed-zda"
