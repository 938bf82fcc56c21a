"""Configuration of fedzda's own strategies (imports neither torch nor Flower).

The papers on zero-shot data augmentation publish no settings: every default is our choice. So are
those of the fairness methods unless the text says whose they are.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import Slot, StrategyConfig

_FILLS = (
    "fills up classes that have not come yet. Choose fed-avg for fine-tuning, or fed-dfgr, whose "
    "replay knows phases"
)
"""Why methods that add samples of missing classes go with no scenario."""


class MeanConfig(StrategyConfig):
    """What strategies that average share."""

    weighting: Literal["size", "uniform"] = "size"
    """What a client counts in sums over clients: its training samples, or 1 (the models of a whole
    cohort are then in memory at once)."""
    sampling: Literal["uniform", "size-weighted", "power-of-choice"] = "uniform"
    """How a round's clients are drawn, always without replacement: with the same chance, by their
    training samples, or those of drawn candidates with the highest loss (Cho et al. 2020)."""
    candidates: int | None = Field(default=None, ge=1)
    """Clients that report their loss where ``sampling`` is power-of-choice; left out: twice
    ``clients_per_round``."""


class FedAvgConfig(MeanConfig):
    """Federated averaging."""

    privacy = "any"
    variants = True
    name: Literal["fed-avg"] = "fed-avg"


class SynthesisConfig(MeanConfig):
    """What both ends share."""

    no_scenario = _FILLS
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

    fast: ClassVar[dict[str, int]] = {"server_start_round": 1}
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


class QFFLConfig(MeanConfig):
    """q-FFL: clients with a high loss count more."""

    name: Literal["q-ffl"] = "q-ffl"
    q: float = Field(default=0.1, ge=0)
    """Fairness exponent; 0 is FedAvg. The paper tunes it between 0.001 and 5. The larger it is, and
    the further clients go in a round (momentum, epochs), the shorter is the step of the server."""


class AFLConfig(MeanConfig):
    """Agnostic federated learning: the worst mixture of clients."""

    name: Literal["afl"] = "afl"
    gamma: float = Field(default=0.1, ge=0)
    """Step size of the mixture; 0 leaves it uniform (FairFL: 0.1)."""
    order: Literal["average-first", "update-first"] = "average-first"
    """Average with the mixture before or after it is updated."""
    ascent: Literal["euclidean", "multiplicative"] = "euclidean"
    """The mixture's step: a gradient step and a projection onto the simplex, or a factor
    ``exp(gamma * loss)``."""


class TermConfig(MeanConfig):
    """Tilted empirical risk minimisation."""

    name: Literal["term"] = "term"
    t: float = 0.1
    """Tilt: above 0 clients with a high loss count more, below 0 they count less, 0 is FedAvg (the
    paper: 0.1; FairFL: 0.01)."""


class PropFairConfig(MeanConfig):
    """Proportional fairness."""

    variants = True
    name: Literal["prop-fair"] = "prop-fair"
    base: float = Field(default=5.0, gt=0)
    """M of the utility M - loss; must lie above most losses, and an untrained model of C classes
    has a loss of log(C) (FairFL: 2)."""
    epsilon: float = Field(default=0.2, gt=0)
    """Smallest utility for which the logarithm is taken (FairFL: 0.2)."""
    fallback: Literal["linear", "huber"] = "linear"
    """The loss below that: loss / base, or loss / epsilon."""


class FedMGDAConfig(MeanConfig):
    """FedMGDA+: the shortest mixture of the clients' updates."""

    name: Literal["fed-mgda"] = "fed-mgda"
    epsilon: float = Field(default=0.2, ge=0, le=1)
    """How far a client's coefficient may move from its share (FairFL: 0.2)."""
    server_lr: float = Field(default=1.0, gt=0)
    """Step size of the server."""
    normalize: bool = True
    """Give every client's update length 1 first (the plus of FedMGDA+)."""


class FedFVConfig(MeanConfig):
    """FedFV: updates lose the part in which they are in conflict."""

    name: Literal["fed-fv"] = "fed-fv"
    weighting: Literal["size", "uniform"] = "uniform"
    """What a client counts in sums over clients: its training samples, or 1 (the paper)."""
    alpha: float = Field(default=0.1, ge=0, le=1)
    """Share of the clients, those with the highest losses, that keep their update."""
    tau: int = Field(default=1, ge=0)
    """Rounds for which updates of absent clients are kept and respected; the server stores one
    update per client seen in them."""


class GifairConfig(MeanConfig):
    """GIFAIR-FL: clients are weighed by the rank of their loss."""

    name: Literal["gifair"] = "gifair"
    coeff: float = Field(default=0.1, ge=0, lt=1)
    """Strength, as a share of the largest at which no weight is negative (FairFL: 0.1)."""


class PlaceboConfig(MeanConfig, FillConfig):
    """Placebo for Fed-ZDAC: noise images with the same labels."""

    no_scenario = _FILLS
    name: Literal["placebo"] = "placebo"


class OracleConfig(MeanConfig, FillConfig):
    """Oracle for Fed-ZDAC: real images of the missing classes."""

    no_scenario = _FILLS
    name: Literal["oracle"] = "oracle"


class OversamplingConfig(MeanConfig, AmountConfig):
    """Repeats samples of a client's rare classes."""

    variants = True
    name: Literal["oversampling"] = "oversampling"
    amount: Literal["balance", "as-zdac"] = "balance"
    """As many repetitions as bring every class a client holds up to its largest, or as many as
    Fed-ZDAC would add samples (``fill`` and ``cap`` then count)."""


class EqualStepsConfig(MeanConfig, AmountConfig):
    """FedAvg with as many gradient steps as Fed-ZDAC takes."""

    no_scenario = "counts the steps of fed-zdac, which knows no phases. Choose fed-avg"
    name: Literal["equal-steps"] = "equal-steps"


class CentralisedConfig(MeanConfig):
    """Training on the pooled data."""

    no_scenario = (
        "trains on the data of all phases at once. For the upper bound choose fed-dfgr with base "
        "'joint'"
    )
    name: Literal["centralised"] = "centralised"
    pool: Literal["all", "cohort"] = "all"
    """Whose samples a round trains on: all clients', or those of the clients that FedAvg would have
    drawn."""


class LocalOnlyConfig(MeanConfig):
    """Every client trains alone."""

    name: Literal["local-only"] = "local-only"


class FedProxConfig(MeanConfig):
    """FedProx: clients stay close to the received model."""

    variants = True
    name: Literal["fed-prox"] = "fed-prox"
    mu: float = Field(default=0.1, ge=0)
    """Weight of the proximal term; 0 is FedAvg. The paper tunes it between 0.001 and 1."""


class DittoConfig(MeanConfig):
    """Ditto: personal models beside the global one."""

    name: Literal["ditto"] = "ditto"
    lam: float = Field(default=1.0, ge=0)
    """How strongly personal models are pulled towards the received one; 0: not at all (the paper:
    1, or per client out of 0.1, 1 and 2)."""
    personal_epochs: int | None = Field(default=None, ge=1)
    """Passes of the personal model over the client's data per round; left out: as the global
    one."""


class FedBNConfig(MeanConfig):
    """FedBN: BatchNorm layers stay on the client."""

    name: Literal["fed-bn"] = "fed-bn"


class ScaffoldConfig(MeanConfig):
    """SCAFFOLD: control variates against client drift."""

    optimizers = ("sgd",)
    name: Literal["scaffold"] = "scaffold"
    server_lr: float = Field(default=1.0, gt=0)
    """Step size of the server (the paper's global step size)."""


class FedNovaConfig(MeanConfig):
    """FedNova: updates are divided by the steps that made them."""

    optimizers = ("sgd",)
    name: Literal["fed-nova"] = "fed-nova"


class FedBuffConfig(MeanConfig):
    """FedBuff: buffered asynchronous aggregation."""

    asynchronous = True
    name: Literal["fed-buff"] = "fed-buff"
    clients_per_round: int | None = Field(default=10, ge=1)
    """Updates in the buffer that make a round (the paper: 10)."""
    weighting: Literal["size", "uniform"] = "uniform"
    """What a client counts in sums over clients: its training samples, or 1 (the paper)."""
    sampling: Literal["uniform"] = "uniform"
    """How clients are drawn: with the same chance, out of those that are there and not at work."""
    concurrency: int = Field(default=20, ge=1)
    """Clients that train at the same time (our choice; the paper: up to 1300)."""
    staleness_exponent: float = Field(default=0.5, ge=0)
    """Updates count ``(1 + tau) ** -exponent`` where tau models were made meanwhile (the paper:
    0.5); 0: all the same."""
    server_lr: float = Field(default=1.0, gt=0)
    """Step size of the server (our choice; the paper tunes it)."""


class MoonConfig(MeanConfig):
    """MOON: model-contrastive local training."""

    name: Literal["moon"] = "moon"
    mu: float = Field(default=1.0, ge=0)
    """Weight of the contrastive term; 0 is FedAvg. The paper tunes it between 0.1 and 10."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature of the contrastive term (the paper: 0.5)."""


class FedGenConfig(MeanConfig):
    """FedGen: a generator of features, learned at the server."""

    amounts: ClassVar[tuple[str, ...]] = ("generator_steps",)

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
    no_scenario = _FILLS

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
