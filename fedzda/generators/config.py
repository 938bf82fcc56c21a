"""Configuration of the synthesizers (imports no torch). Defaults are our choice where no paper
publishes one; what public code uses stands in the presets and in ``docs/methods/data-free.md``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

Distance = Literal["kl_gen_bn", "kl_bn_gen", "l2norm", "mse", "std_mse"]
Reduction = Literal["mean", "sum", "pooled"]
NetworkName = Literal["transposed", "dafl32", "wide32", "large", "cond-mul", "cond-bn"]
Schedule = Literal["constant", "cosine"]
Mode = Literal["eval", "train"]


class BNMatchConfig(StrictConfig):
    """How far batch statistics are from the stored BatchNorm statistics."""

    distance: Distance = "kl_gen_bn"
    """Distance of two Gaussians per channel: Kullback-Leibler divergence of generated from stored
    statistics (kl_gen_bn) or reversed (kl_bn_gen), or a distance of moments (l2norm, mse,
    std_mse)."""
    reduction: Reduction = "mean"
    """Over channels and layers: mean of layers' channel means (mean), sum, or the sum divided by
    the number of all channels (pooled)."""
    eps: float = Field(default=1e-5, ge=0)
    """Added to both variances."""
    first_layer_weight: float = Field(default=1.0, ge=0)
    """Factor on the first BatchNorm layer's term."""


class ZSCGANConfig(StrictConfig):
    """A conditional generator trained against a frozen classifier."""

    fast: ClassVar[dict[str, int]] = {"steps": 5, "batch_size": 16}
    amounts: ClassVar[tuple[str, ...]] = ("steps",)
    name: Literal["zs-cgan"] = "zs-cgan"
    steps: int = Field(default=100, ge=1)
    """Generator steps per fit; a further fit continues from the generator reached."""
    batch_size: int = Field(default=64, ge=2, multiple_of=2)
    """Images per step, in pairs of one label; labels balanced over the classes asked for."""
    lr: float = Field(default=2e-3, gt=0)
    """Step size of Adam, whose moments start at zero in every fit."""
    schedule: Schedule = "constant"
    """Step size over a fit: constant, or half a cosine down to 0."""
    betas: list[float] = Field(default=[0.5, 0.999], min_length=2, max_length=2)
    """Decay of Adam's first and second moment."""
    network: NetworkName = "transposed"
    """The generator: transposed (sigmoid, small, any size), or a published one: dafl32, wide32,
    large, cond-mul (label embedding times noise), cond-bn (class-conditional BatchNorm)."""
    z_size: int = Field(default=64, ge=1)
    """Dimensions of the noise."""
    embedding_size: int = Field(default=64, ge=1)
    """Dimensions of the label embedding (not used by cond-mul and cond-bn)."""
    channels: int | None = Field(default=None, ge=2, multiple_of=2)
    """Channels of the start map, later maps in proportion; left out: 64 for transposed, 128 for
    dafl32, cond-mul and cond-bn, 256 for large, 512 for wide32."""
    clamp: bool = True
    """Train on pixels clamped to [0, 1], as samples are. Only heads that emit normalised pixels
    (dafl32, wide32, cond-mul, cond-bn) leave that range; off is what public code does."""
    ce_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy between the label and the classifier's output."""
    bn_weight: float = Field(default=5.0, ge=0)
    """Weight of the distance to the BatchNorm statistics."""
    diversity_weight: float = Field(default=1.0, ge=0)
    """Weight of the reward for pairs of one class that differ as their noise does (mode seeking);
    0 lets the images of a class collapse to a few."""
    adversarial_weight: float = Field(default=0.0, ge=0)
    """Weight of the reward for images on which a student differs from the classifier (KL); above 0
    a student has to be passed to the synthesizer."""
    bn: BNMatchConfig = BNMatchConfig()
    """The distance to the BatchNorm statistics."""
    sample_mode: Mode = "eval"
    """Normalisation inside the generator when sampling: running statistics, so that an image
    depends on its own label and noise only (eval), or statistics of each sampled batch (train)."""

    @property
    def images_in_steps(self) -> int:
        """Images that pass through the classifier, with gradients, in a fit."""
        return self.steps * self.batch_size


Preset = Literal["none", "deepinversion-c10", "fedcog"]

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "deepinversion-c10": {
        "steps": 2000,
        "batch_size": 256,
        "lr": 0.05,
        "bn_weight": 10.0,
        "bn": {"distance": "l2norm", "reduction": "sum"},
        "tv_weight": 2.5e-5,
        "jitter": 2,
    },
    "fedcog": {
        "steps": 500,
        "lr": 0.01,
        "betas": [0.5, 0.9],
        "ce_weight": 1.0,
        "bn_weight": 0.0,
        "tv_weight": 0.0,
        "js_weight": 0.1,
    },
}
"""Settings of public code for ``image-distillation``. ``zeroq`` is none of them: it matches the
statistics of every image by itself, which makes the images of a batch alike."""


class ImageDistillationConfig(StrictConfig):
    """Direct optimisation of pixels into a pool of labelled images."""

    fast: ClassVar[dict[str, int]] = {"steps": 5}
    amounts: ClassVar[tuple[str, ...]] = ("steps",)
    name: Literal["image-distillation"] = "image-distillation"
    preset: Preset = "none"
    """Settings of public code, for keys that are left out: deepinversion-c10 (Yin et al. 2020) or
    fedcog (Ye et al. 2024; needs a student)."""
    steps: int = Field(default=200, ge=1)
    """Pixel steps per batch of the pool; a further fit continues from the pool reached."""
    batch_size: int = Field(default=256, ge=2)
    """Images optimised together, labels balanced over the classes asked for; with ``batches``, at
    least as many as there are classes."""
    batches: int = Field(default=1, ge=1)
    """Batches in the pool."""
    lr: float = Field(default=0.1, gt=0)
    """Step size of Adam, on normalised pixels."""
    betas: list[float] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    """Decay of Adam's first and second moment."""
    ce_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy between the label and the classifier's output."""
    bn_weight: float = Field(default=5.0, ge=0)
    """Weight of the distance to the BatchNorm statistics."""
    tv_weight: float = Field(default=2.5e-5, ge=0)
    """Weight of the total variation, a sum of the norms of neighbour differences."""
    l2_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean Euclidean norm of the normalised images."""
    js_weight: float = Field(default=0.0, ge=0)
    """Weight of 1 minus the Jensen-Shannon divergence of classifier and student, which seeks images
    on which they differ; above 0 a student has to be passed to the synthesizer."""
    js_temperature: float = Field(default=3.0, gt=0)
    """Temperature of both predictions in that term."""
    jitter: int = Field(default=0, ge=0)
    """Largest random cyclic shift per step, in pixels."""
    flip: bool = False
    """Mirror the batch left to right in half of the steps (not for digits or letters)."""
    bn: BNMatchConfig = BNMatchConfig()
    """The distance to the BatchNorm statistics."""

    @property
    def images_in_steps(self) -> int:
        """Images that pass through the classifier, with gradients, in a fit."""
        return self.steps * self.batch_size * self.batches

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """A preset's settings stand where a key is left out."""
        if not isinstance(given, dict):
            return given
        return {**PRESETS.get(str(given.get("preset", "none")), {}), **given}


class AdversarialConfig(StrictConfig):
    """Data-free adversarial distillation: generators against students."""

    fast: ClassVar[dict[str, int]] = {"warmup_steps": 2, "steps": 2, "codes_per_class": 8}
    amounts: ClassVar[tuple[str, ...]] = ("warmup_steps", "steps")
    name: Literal["adversarial"] = "adversarial"
    generators: int = Field(default=1, ge=1)
    """Number of generators, each with initial weights, noise and optimiser of its own."""
    students: int = Field(default=1, ge=1)
    """Number of students, copies of the classifier's architecture with fresh weights (not used
    where the students are given)."""
    warmup_steps: int = Field(default=20_000, ge=0)
    """Steps of each generator without students, in the first fit."""
    steps: int = Field(default=8_000, ge=1)
    """Turns of the game per fit; a turn is ``generator_steps`` and then ``student_steps``."""
    generator_steps: int = Field(default=1, ge=1)
    """Steps of each generator in a turn."""
    student_steps: int = Field(default=10, ge=1)
    """Steps of each student in a turn."""
    batch_size: int = Field(default=256, ge=2)
    """Images per step; in a student's step they come from all generators in equal parts."""
    network: NetworkName = "large"
    """The generators: transposed, dafl32, wide32 or large; cond-mul and cond-bn if conditional."""
    conditional: bool = False
    """Generators that take a label, with a cross entropy to it. Off is the published method; then
    samples of a class are those that the classifier takes for it."""
    z_size: int = Field(default=256, ge=1)
    """Dimensions of the noise."""
    embedding_size: int = Field(default=64, ge=1)
    """Dimensions of the label embedding of conditional generators."""
    channels: int | None = Field(default=None, ge=2, multiple_of=2)
    """Channels of the generators' start map; left out: as the network has them."""
    clamp: bool = True
    """Train on pixels clamped to [0, 1], as samples are. Only heads that emit normalised pixels
    (dafl32, wide32, cond-mul, cond-bn) leave that range; off is what public code does."""
    generator_lr: float = Field(default=1e-3, gt=0)
    """Step size of the generators' Adam."""
    generator_schedule: Schedule = "constant"
    """Step size of the generators over the turns; the warm-up is always constant."""
    betas: list[float] = Field(default=[0.5, 0.999], min_length=2, max_length=2)
    """Decay of Adam's first and second moment."""
    student_lr: float = Field(default=0.1, gt=0)
    """Step size of the students' SGD with Nesterov momentum."""
    student_momentum: float = Field(default=0.9, gt=0, lt=1)
    """Momentum of the students."""
    student_weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of the students."""
    student_schedule: Schedule = "cosine"
    """Step size of the students over their steps."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature of the distance between classifier and student."""
    alpha: float = Field(default=0.01, ge=0)
    """Weight of all terms that hold the generators near the data, against the adversarial one."""
    bn_weight: float = Field(default=1.0, ge=0)
    """Within alpha: weight of the distance to the BatchNorm statistics."""
    instance_entropy_weight: float = Field(default=1.0, ge=0)
    """Within alpha: weight of the entropy of each image's prediction, which is lowered."""
    batch_entropy_weight: float = Field(default=1.0, ge=0)
    """Within alpha: weight of the entropy of the batch's mean prediction, which is raised."""
    ce_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy to the label of conditional generators; not within alpha, which
    would let the adversarial term trade labels away."""
    repulsion_weight: float = Field(default=0.0, ge=0)
    """Within alpha: weight of the cosine between the mean features of a generator's batch and
    those of the other generators, which is lowered."""
    feature_weight: float = Field(default=0.0, ge=0)
    """Weight of the squared error between the last features of classifier and student, inside the
    distance that generators raise and students lower; needs features of equal size."""
    bn: BNMatchConfig = BNMatchConfig(reduction="sum")
    """The distance to the BatchNorm statistics."""
    student_images: Mode = "train"
    """BatchNorm inside the generators when they make images for the students: statistics of the
    batch (train, as public code), or running ones (eval). Samples are always made with eval."""
    collapse_entropy: float = Field(default=0.5, ge=0, le=1)
    """A generator counts as collapsed while the entropy of the classes predicted in its batches
    stays below this share of the largest possible one."""
    collapse_steps: int = Field(default=200, ge=1)
    """For so many steps in a row."""
    on_collapse: Literal["fail", "warn"] = "fail"
    """Stop, or go on with a warning in the log."""
    codes_per_class: int = Field(default=256, ge=1)
    """Unconditional generators: noise vectors kept per class, from which samples are made."""

    @property
    def images_in_steps(self) -> int:
        """Images that pass through classifier and students in the steps of both, in a fit after
        the first."""
        made = self.generators * self.generator_steps + self.students * self.student_steps
        return self.steps * made * self.batch_size
