"""Configuration of zero-shot data augmentation.

The papers publish no settings: every default is our choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import SimulationConfig, Slot
from fedzda.strategies.config.mean import MeanConfig

FILLS = (
    "fills up classes that have not come yet. Choose fed-avg for fine-tuning, or fed-dfgr, whose "
    "replay knows phases"
)
"""Why methods that add samples of missing classes go with no scenario."""


class SynthesisConfig(MeanConfig):
    """What both ends share."""

    no_scenario = FILLS
    classifies = "makes images from a classifier"
    synthesizer: Annotated[SerializeAsAny[StrictConfig], Slot("synthesizers")] = Field(
        default={"name": "zs-cgan"}  # type: ignore[assignment]
    )
    """How images are made from a frozen classifier."""


class AmountConfig(StrictConfig):
    """How many samples Fed-ZDAC adds; its control arms add as many."""

    fast: ClassVar[dict[str, int]] = {"start_round": 1}
    begins: ClassVar[tuple[str, ...]] = ("start_round",)

    start_round: int = Field(default=3, ge=1)
    """First round with additional samples: an early model gives images without meaning."""
    fill: Literal["to_max", "to_mean", "every_class"] = "to_max"
    """Every class is filled up to the client's largest class, or to its mean over the classes it
    has; or every class gets the same number, as many as ``cap`` allows, whatever the client
    has."""
    cap: float = Field(default=1.0, gt=0)
    """Largest number of additional samples per class, as a multiple of the client's samples divided
    by the number of classes."""


class FillConfig(AmountConfig):
    """How additional images enter local training."""

    loss_mix: Literal["equal", "count"] = "equal"
    """One shuffled set (``equal``), or a real and an additional batch per step, weighted by the
    number of real and additional samples (``count``, the rule of FedCOG, arXiv 2312.05966)."""


class ClientSideConfig(FillConfig):
    """Fed-ZDAC: what clients do with synthetic images."""

    assume: ClassVar[dict[str, Any]] = {"gate_agreement": 0.0}

    gate_agreement: float = Field(default=0.5, ge=0, le=1)
    """Synthetic images are used in a round only if the classifier agrees with at least this share
    of their labels."""
    share: Literal["round", "client"] = "round"
    """One inversion per round, shared by all clients that received the same model (``round``), or
    one by every client for itself (``client``), as on real devices. The result is of the same
    kind; the cost of the simulation is not."""
    warm_start: bool = True
    """Continue from the generator of the round before (``share: round`` only)."""
    invert_every: int = Field(default=1, ge=1)
    """Invert in every so many rounds from ``start_round`` on, and sample from the last generator in
    between (``share: round`` only)."""
    labels: Literal["asked", "permuted"] = "asked"
    """Train on the labels that the images were made for, or on the same labels in random order: an
    ablation that takes away what the images say about them."""


class ServerSideConfig(StrictConfig):
    """Fed-ZDAS: what the server does with the clients' models."""

    fast: ClassVar[dict[str, int]] = {"server_start_round": 1, "server_batch_size": 2}
    begins: ClassVar[tuple[str, ...]] = ("server_start_round",)
    amounts: ClassVar[tuple[str, ...]] = ("server_steps",)
    assume: ClassVar[dict[str, Any]] = {"server_keep": "all"}

    server_start_round: int = Field(default=5, ge=1)
    """First round with synthetic images at the server."""
    server_synthesizer: Annotated[SerializeAsAny[StrictConfig] | None, Slot("synthesizers")] = None
    """How the server makes images; left out: as ``synthesizer`` says. Where it wants a student
    (``adversarial_weight``, ``js_weight``), that is the average that is to be trained."""
    server_group_size: int = Field(default=3, ge=1)
    """Client models inverted together (mean of their logits and of their BatchNorm terms); 1: each
    by itself, the letter of the patent's claim."""
    server_received: bool = False
    """Add the model that the clients received to every group. It knows the classes that hardly
    anybody of this round's cohort holds, and the server has it anyway; not part of the claim."""
    server_classes: Literal["all", "known"] = "all"
    """Classes made from a group of models: all, or those its clients hold (they then report their
    class counts)."""
    server_keep: Literal["all", "recognised"] = "recognised"
    """Use all images, or those to which the inverted models give their label."""
    server_refine: Literal["average", "clients"] = "average"
    """Train the average, or each client's model before it is averaged: what a client forgot of the
    classes that it lacks is then taught again before it is mixed in (not part of the claim)."""
    server_targets: Literal["hard", "soft"] = "hard"
    """Train the average on the labels asked for, or on the inverted models' probabilities."""
    server_images: int = Field(default=128, ge=2)
    """Images made from each group."""
    server_steps: int = Field(default=20, ge=1)
    """Gradient steps of each trained model on the union of all images."""
    server_lr: float = Field(default=0.003, gt=0)
    """Step size of these steps (plain SGD)."""
    server_batch_size: int = Field(default=64, ge=2)
    """Batch size of these steps."""
    server_layers: Literal["all", "last"] = "all"
    """Train the whole average, or its last layer alone: what a cohort with few clients of a class
    unbalances most (classifier calibration, Luo et al., NeurIPS 2021, arXiv 2106.05001)."""
    server_batchnorm: Literal["frozen", "update"] = "frozen"
    """Keep the averaged BatchNorm statistics, or let synthetic batches move them."""
    server_warm_start: bool = True
    """Continue from a generator of the round before."""

    def too_few_images(self, cohort: int | None) -> Iterator[tuple[str, str]]:
        """The server does not train on less than a batch; None: nobody knows the cohort yet."""
        if cohort is None:
            return
        images = self.server_images * -(-cohort // self.server_group_size)
        if images < self.server_batch_size:
            yield (
                "strategy.server_batch_size",
                "'strategy.server_batch_size' should be at most the images made in a round, which "
                f"are {images} from {cohort} clients (got {self.server_batch_size}): the server "
                "would never train. Lower it, or raise strategy.server_images.",
            )


class FedZDACConfig(SynthesisConfig, ClientSideConfig):
    """Zero-shot data augmentation at the clients."""

    name: Literal["fed-zdac"] = "fed-zdac"


class FedZDASConfig(SynthesisConfig, ServerSideConfig):
    """Zero-shot data augmentation at the server."""

    name: Literal["fed-zdas"] = "fed-zdas"

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """What all that average have, and images for a batch."""
        yield from super().problems_in(whole)
        yield from self.too_few_images(self.clients_per_round or whole.data.clients)


class FedZDAConfig(SynthesisConfig, ClientSideConfig, ServerSideConfig):
    """Zero-shot data augmentation at both ends."""

    fast: ClassVar[dict[str, int]] = {**ClientSideConfig.fast, **ServerSideConfig.fast}
    name: Literal["fed-zda"] = "fed-zda"

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """What all that average have, and images for a batch."""
        yield from super().problems_in(whole)
        yield from self.too_few_images(self.clients_per_round or whole.data.clients)
