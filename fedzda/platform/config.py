"""The configuration of a simulation, as typed blocks.

Blocks that name a component (``model: {name: lenet-bn, …}``) are *slots*: which class validates
them is only known once the name is read, so :func:`specialise` makes the matching pydantic class
for one particular file. Reading files and formatting errors is ``config_load``'s work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, SerializeAsAny, create_model
from pydantic.fields import FieldInfo

from fedzda.base import StrictConfig
from fedzda.platform import plugins
from fedzda.platform.trackers.config import Trackers


class Slot:
    """Marks a field that holds the configuration of a component of one ``kind``."""

    def __init__(self, kind: str, *, target: bool = True, listed: str | None = None) -> None:
        """
        Args:
            kind: Kind of the components.
            target: Whether a component of the user's own can stand here.
            listed: Component, of the same name as its key, that a bare list stands for.
        """
        self.kind = kind
        self.target = target
        self.listed = listed


class TargetConfig(StrictConfig):
    """A component of the user's own: ``{target: package.module:Name, args: {…}}``."""

    target: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    """``package.module:Name``, looked up beside the YAML file first."""
    args: dict[str, Any] = Field(default={})
    """Keyword arguments of the component, passed as they are."""


class PartitionerConfig(StrictConfig):
    """What every partitioner shares (nothing yet but its place in the file)."""

    name: str


class ShiftConfig(StrictConfig):
    """What every feature shift shares."""

    name: str
    by: Literal["client", "cluster"] = "client"
    """Whether every client sees its images in a way of its own, or all clients of a cluster
    (``data.partition: {name: clusters}``) in one."""


class DataConfig(StrictConfig):
    """What every data set shares; each source adds its own keys."""

    name: str
    clients: int | None = Field(default=None, ge=1)
    """Number of clients; left out where the partitioner finds it (natural ids)."""
    partition: Annotated[SerializeAsAny[PartitionerConfig], Slot("partitioners")] = Field(
        default={"name": "iid"}  # type: ignore[assignment]
    )
    """How samples are dealt to clients."""
    shift: Annotated[SerializeAsAny[ShiftConfig] | None, Slot("shifts")] = None
    """How the clients' images differ in look; left out: not at all."""
    attribute: str | None = None
    """Column with an attribute of every sample, such as a camera or a skin tone, whose values are
    groups for ``evaluate.groups``."""
    test_fraction: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of each client's samples kept for its own test; 0.0 is allowed."""
    validation_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of each client's samples kept for selection."""
    split: Literal["stratified", "blocks"] = "stratified"
    """``stratified``: at random, with equal label shares; ``blocks``: the last samples of each
    client in stored order are for testing, for frames of a video."""
    group: str | None = None
    """Column whose equal values stay on one side of every split, such as the scene that several
    images show; left out: every sample stands for itself."""
    group_without: str | None = None
    """Regular expression: what it matches is cut out of the values of ``group`` first, for example
    the number of the shot at the end of a scene's name."""
    seed: int | None = Field(default=None, ge=0)
    """Seed of the partition and the splits; left out: the seed of the run."""
    max_samples: int | None = Field(default=None, ge=1)
    """Keep a random subset of the training pool of this size before it is dealt out."""
    missing_classes: Literal["fail", "allow"] = "fail"
    """A class that no client can train on: refuse, or go on without it."""


class SGDConfig(StrictConfig):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.05, gt=0)
    """Step size."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum; the buffer starts at zero in every round."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 coefficient."""
    nesterov: bool = False
    """Nesterov momentum (needs ``momentum`` above 0)."""


class AdamConfig(StrictConfig):
    """Adam; its moments start at zero in every round."""

    name: Literal["adam"] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    """Step size."""
    betas: list[float] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    """Decay of the first and second moment."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW)."""


class LocalConfig(StrictConfig):
    """Training on a client."""

    epochs: int = Field(default=1, ge=1)
    """Passes over the client's data per round; ignored where ``steps`` is set."""
    steps: int | None = Field(default=None, ge=1)
    """Gradient steps per round, instead of epochs."""
    batch_size: int = Field(default=16, ge=1)
    """Samples per gradient step; the last, smaller batch of an epoch is used too."""
    optimizer: Annotated[SGDConfig | AdamConfig, Field(discriminator="name")] = SGDConfig()
    """The optimiser."""
    lr_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor on the step size per round: ``lr * lr_decay ** (round - 1)``."""
    poly: float | None = Field(default=None, gt=0)
    """Power of a polynomial decay over the run, a factor ``(1 - (round - 1) / rounds) ** poly`` on
    the step size; left out: none. Usual for segmentation: 0.9."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest gradient norm; larger gradients are scaled down."""


Suits = Literal["any", "local", "none"]
"""Which ``privacy:`` a strategy can be combined with."""


class StrategyConfig(StrictConfig):
    """What every strategy shares."""

    privacy: ClassVar[Suits] = "none"
    """Which ``privacy:`` it can be combined with: ``any`` where the server only takes the mean of
    the clients' models, ``local`` where it does something else with these models alone."""
    optimizers: ClassVar[tuple[str, ...]] = ("sgd", "adam")
    """Which ``local.optimizer`` it can be combined with."""
    asynchronous: ClassVar[bool] = False
    """Whether its clients do not wait for each other, which takes devices with a virtual clock."""
    no_scenario: ClassVar[str] = ""
    """Why it cannot be combined with a ``scenario:``, as the end of a sentence; empty: it can."""
    exemplars: ClassVar[bool] = False
    """Whether its clients keep samples of earlier phases of a scenario."""
    variants: ClassVar[bool] = False
    """Whether devices may train a form of the model that is not the global one."""

    name: str
    clients_per_round: int | None = Field(default=None, ge=1)
    """Cohort size, drawn uniformly without replacement; left out: all clients."""
    batchnorm: Literal["naive", "pooled"] = "pooled"
    """Aggregation of BatchNorm variances: the mean of the clients' variances, or the variance of
    the pooled data, ``E[v + m²] - E[m]²``."""

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Broken rules between this block and others: the dotted key, and a sentence."""
        return ()


class VariantConfig(StrictConfig):
    """What every form of the model that a device can run shares."""

    extends: ClassVar[str] = ""
    """``package.module:Name`` of what adds to the global model, ``(model, image)`` to a model."""
    alone: ClassVar[bool] = False
    """Whether all devices that train must train a form of this name."""

    name: str

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name

    @property
    def whole(self) -> bool:
        """Whether a device trains every entry of the global model."""
        return True

    @property
    def plain_training(self) -> bool:
        """Whether a device that trains does so on the global model as it is."""
        return True

    @property
    def trains(self) -> bool:
        """Whether its devices take part in training."""
        return True

    def candidates(self) -> list[VariantConfig]:
        """Forms to choose from by memory and deadline, the best first; none: it is one itself."""
        return []

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """Broken rules between this form and other blocks."""
        return ()


class DevicesConfig(StrictConfig):
    """What every population of devices shares."""

    clock: ClassVar[bool] = False
    """Whether a virtual clock runs: devices have a speed."""

    name: str

    def variants(self) -> list[VariantConfig]:
        """The forms of the model that devices run, by class; none: all run the full one."""
        return []

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Broken rules between this block and others: the dotted key, and a sentence."""
        return ()


class UplinkConfig(StrictConfig):
    """What every compression of what clients send shares."""

    name: str

    def encoded_bytes(self, num: int) -> int:
        """Bytes of an update of ``num`` trained weights as it is sent."""
        raise NotImplementedError


class EngineConfig(StrictConfig):
    """What every engine shares."""

    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where clients train; ``auto``: the GPU if torch sees one."""
    vectorise: bool | Literal["auto"] = "auto"
    """Train the clients of a chunk at once, in one batched form of the model, where model, task and
    method allow it; ``auto``: on a GPU only. Equal to one after the other up to rounding."""
    client_timeout: float | None = Field(default=None, gt=0)
    """Seconds after which a client counts as failed; left out: no limit."""


class InlineConfig(EngineConfig):
    """One process: easy to debug, no start-up cost."""

    name: Literal["inline"] = "inline"


class RayConfig(EngineConfig):
    """Ray actors: many processes on one machine or a cluster."""

    name: Literal["ray"] = "ray"
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of worker processes; ``auto``: one per core, or what fits the GPUs."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Share of a GPU per worker; ``auto``: 0 without GPUs, else as many workers share a GPU as its
    memory has room for, measured on the client with the most samples (at most the cores)."""
    address: str | None = None
    """Address of a running Ray cluster (``auto`` or ``host:port``), which the run joins and leaves;
    left out: a local one is started and stopped with the run. Every node needs the same packages
    and must see the folder of prepared data (FEDZDA_CACHE) under the same path; modules beside the
    YAML file are sent along."""
    object_store_mb: int = Field(default=256, ge=80)
    """Cap on Ray's shared-memory store of a local cluster."""
    max_worker_mb: int | None = Field(default=None, ge=1)
    """Resident memory in MiB above which a worker is replaced between chunks, for models that leak;
    left out: no limit. A fresh worker with torch takes about 400."""


class FlowerConfig(EngineConfig):
    """Flower's stock simulation engine, for comparison. Not bitwise reproducible."""

    name: Literal["flower"] = "flower"
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of Flower actors."""


class GroupsConfig(StrictConfig):
    """Groups whose treatment is compared: accuracy, equal opportunity, demographic parity."""

    by: Literal["attribute", "device", "majority-label"]
    """``attribute``: samples by the column ``data.attribute`` (a client belongs to the value that
    most of its samples have); ``device``: clients by their device; ``majority-label``: clients by
    the class that most of their training samples have."""
    positive: int | str | None = None
    """The favourable class, by number or name, whose selection rate (demographic parity) and recall
    (equal opportunity) are compared; left out: all classes, and the widest gap counts."""


class EvaluateConfig(StrictConfig):
    """When and where the global model is evaluated on the clients' own data."""

    every: int = Field(default=1, ge=0)
    """Every so many rounds and at the end; 0: never."""
    clients: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """How many clients (drawn per round), or all of them."""
    batch_size: int = Field(default=256, ge=1)
    """Samples per evaluation batch."""
    train_split: bool = False
    """Evaluate on the clients' training data as well."""
    groups: GroupsConfig | None = None
    """Compare groups of clients or samples; left out: none."""


class CheckpointConfig(StrictConfig):
    """What ``fedzda resume`` starts from."""

    every: int = Field(default=1, ge=1)
    """Every so many rounds (and at the end)."""
    keep: int = Field(default=2, ge=1)
    """How many checkpoints stay on disk."""


class StopConfig(StrictConfig):
    """When a run ends before its last round. Rules left out do not count."""

    metric: str | None = None
    """What ``patience`` and ``target`` look at; left out: the task's primary metric."""
    figure: Literal["mean", "worst10", "weighted_mean"] = "mean"
    """Which figure of the metric over the evaluated clients."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many evaluated rounds in a row without an improvement."""
    min_delta: float = Field(default=0.0, ge=0)
    """What counts as an improvement for ``patience``: better than the best so far by more than
    this."""
    target: float | None = None
    """Stop when the figure is as good as this, or better."""
    seconds: float | None = Field(default=None, gt=0)
    """Time budget of all rounds together, checked after every round."""


class PrivacyConfig(StrictConfig):
    """What every kind of differential privacy shares."""

    local: ClassVar[bool] = False
    """Whether the noise is added at the clients, so that the server may do what it likes."""

    name: str
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """The delta of the (epsilon, delta) guarantee; should be well below 1 / clients."""
    buffers: Literal["refuse", "expose"] = "refuse"
    """A model with BatchNorm statistics: refuse it, or average them without clipping and noise,
    outside the guarantee."""


class ScenarioConfig(StrictConfig):
    """What every scenario shares."""

    name: str

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Broken rules between this block and others: the dotted key, and a sentence."""
        return ()


class SimulationConfig(StrictConfig):
    """A federated simulation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Name of the run: letters, digits, dot, dash, underscore."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything random."""
    rounds: int = Field(default=10, ge=1)
    """Number of federated rounds."""
    data: Annotated[SerializeAsAny[DataConfig], Slot("datasets")]
    """Data set, partition and splits."""
    model: Annotated[SerializeAsAny[StrictConfig], Slot("models")]
    """The model that all clients train."""
    task: Annotated[SerializeAsAny[StrictConfig], Slot("tasks")] = Field(
        default={"name": "classification"}  # type: ignore[assignment]
    )
    """Loss and metrics."""
    scenario: Annotated[SerializeAsAny[ScenarioConfig] | None, Slot("scenarios", target=False)] = (
        None
    )
    """How the data change over the rounds; left out: not at all."""
    local: LocalConfig = LocalConfig()
    """Training on a client."""
    strategy: Annotated[SerializeAsAny[StrategyConfig], Slot("strategies")]
    """What the server does with a round."""
    devices: Annotated[
        SerializeAsAny[DevicesConfig], Slot("devices", target=False, listed="profiles")
    ] = Field(
        default={"name": "uniform"}  # type: ignore[assignment]
    )
    """The simulated devices; a list of profiles with shares stands for ``{name: profiles, …}``."""
    uplink: Annotated[SerializeAsAny[UplinkConfig] | None, Slot("uplinks", target=False)] = None
    """Compression of the updates that clients send; left out: none."""
    engine: Annotated[SerializeAsAny[EngineConfig], Slot("engines", target=False)] = Field(
        default={"name": "ray"}  # type: ignore[assignment]
    )
    """What runs the clients."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """Evaluation on the clients."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Checkpoints."""
    stop: StopConfig = StopConfig()
    """When to end before the last round."""
    privacy: Annotated[SerializeAsAny[PrivacyConfig] | None, Slot("privacy", target=False)] = None
    """Differential privacy of the clients; left out: none."""
    on_client_error: Literal["fail", "skip", "retry"] = "fail"
    """A client raised, timed out or sent a NaN: stop the run, go on without it, or run it once
    more and then go on without it."""
    min_success: float = Field(default=0.5, ge=0, le=1)
    """Smallest share of the cohort that must succeed in a round, else the run stops."""
    trackers: Trackers = Field(default=[])
    """Further places for the records: tensorboard, wandb, mlflow; a name, or a block with one."""
    output: str = "runs"
    """Folder that run folders are made in."""
    report: bool = True
    """Write report.html and figures at the end (``fedzda report RUN`` makes them at any time)."""


def slots(model: type[StrictConfig]) -> dict[str, Slot]:
    """The component fields of a block."""
    found = {}
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Slot):
                found[name] = mark
    return found


def chosen_class(slot: Slot, raw: Any) -> type[StrictConfig]:
    """The class that validates ``raw`` in a slot. Raises UserError for an unknown name."""
    if slot.target and isinstance(raw, Mapping) and "target" in raw:
        return target_class(slot.kind, str(raw["target"]))
    found: type[StrictConfig] = plugins.config_class(slot.kind, raw["name"])
    return found


def target_class(kind: str, target: str) -> type[StrictConfig]:
    """The class that validates ``{target: …}``: the fields a block of this kind needs, and args."""
    bases: dict[str, type[StrictConfig]] = {
        "datasets": DataConfig,
        "strategies": StrategyConfig,
        "shifts": ShiftConfig,
    }
    if kind not in bases:
        return TargetConfig
    shared: Any = bases[kind]
    return create_model(
        f"{shared.__name__}Target",
        __base__=(TargetConfig, shared),
        name=(str, target.rpartition(":")[2]),
    )


def specialise(model: type[StrictConfig], raw: Any) -> type[StrictConfig]:
    """``model`` with every slot replaced by the class that ``raw`` names, recursively.

    Slots whose content is unusable (no name, not a mapping) keep their general class, specialised
    inside; the caller reports them.
    """
    changed: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        value = raw.get(name, field.default) if isinstance(raw, Mapping) else None
        slot = slots(model).get(name)
        if slot is not None:
            if not isinstance(value, Mapping):
                continue
            named = bool({"name", "target"} & set(value))
            inner: Any = specialise(chosen_class(slot, value) if named else _general(field), value)
            shown: Any = SerializeAsAny[inner]  # type: ignore[misc]
            changed[name] = (Annotated[shown, slot], _same_default(field, inner))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, StrictConfig):
            inner = specialise(field.annotation, value if isinstance(value, Mapping) else {})
            if inner is not field.annotation:
                changed[name] = (inner, _same_default(field, inner))
    if not changed:
        return model
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **changed)


def _general(field: FieldInfo) -> type[StrictConfig]:
    """The class that a slot states, without ``None`` and the like."""
    found: list[Any] = [field.annotation]
    while not (isinstance(found[0], type) and issubclass(found[0], StrictConfig)):
        found = [*get_args(found[0]), *found[1:]]
    block: type[StrictConfig] = found[0]
    return block


def _same_default(field: FieldInfo, inner: type[StrictConfig]) -> Any:
    description: Any = {"description": field.description}
    if field.is_required():
        return Field(**description)
    return Field(default=field.default, **description)


def plain(config: StrictConfig) -> dict[str, Any]:
    """A configuration as plain data, every default filled in: the same file again."""
    return config.model_dump(mode="json")
