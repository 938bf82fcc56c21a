"""Configuration of the variant that is a model of its own (imports no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError

from fedzda.base import StrictConfig, UserError
from fedzda.clients.variants.config import TrainsByChoice
from fedzda.platform.config import (
    SimulationConfig,
    Slot,
    TargetConfig,
    VariantConfig,
    chosen_class,
)
from fedzda.platform.config.problems import from_pydantic, shown


def _model(value: Any) -> Any:
    """The configuration of a model, from its name or a block."""
    if value is None or isinstance(value, StrictConfig):
        return value
    block = {"name": value} if isinstance(value, str) else value
    if not isinstance(block, Mapping) or not {"name", "target"} & set(block):
        raise ValueError(f"a model is a name, or a block with 'name' or 'target' ({shown(value)})")
    called = block.get("name", block.get("target"))
    try:
        kind = chosen_class(Slot("models"), block)
        return kind.model_validate(dict(block))
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from None
    except ValidationError as error:
        told = " ".join(
            f"model '{called}': {p.sentence}" for p in from_pydantic(error, kind, block)
        )
        raise ValueError(told.rstrip(".")) from None


class ArchitectureConfig(TrainsByChoice):
    """A model of another architecture, averaged among the clients that have the same."""

    extends = "fedzda.clients.variants.architecture:with_architectures"

    name: Literal["architecture"] = "architecture"
    model: Annotated[
        SerializeAsAny[StrictConfig] | None,
        BeforeValidator(_model, json_schema_input_type=str | dict[str, Any] | None),
    ] = None
    """A model as under ``model:`` of the simulation, by name, as a block, or of your own
    (``target``); left out: the simulation's own."""
    label: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")
    """What tables call it; left out: the name of the model, and ``full`` for the simulation's own.
    Needed to tell two models of one name apart."""
    train: bool = True
    """Take part in training. False: the device is tested only, on what the server has distilled
    into its architecture, and needs memory for that alone."""

    @property
    def title(self) -> str:
        """For example ``resnet-8``."""
        if self.label is not None:
            return self.label
        if self.model is None:
            return "full"
        if isinstance(self.model, TargetConfig):
            return self.model.target.rpartition(":")[2].replace(".", "-")
        return str(self.model.name)  # type: ignore[attr-defined]

    @property
    def architecture(self) -> str | None:
        """The title, or None for the simulation's own model."""
        return None if self.model is None else self.title

    @property
    def whole(self) -> bool:
        """Never: the global model holds other architectures too."""
        return False

    @property
    def plain_training(self) -> bool:
        """Only if others train."""
        return not self.train

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """Titles tell architectures apart, and every device needs one that is trained."""
        if getattr(whole.task, "name", None) == "diffusion":
            yield (
                "'variant' is 'architecture', and 'task.name' is 'diffusion', whose model also "
                "takes time steps. Set the variant to 'tdq', 'frdiff', 'ddim' or 'full'."
            )
        forms = whole.devices.variants()
        own = [form for form in forms if isinstance(form, ArchitectureConfig)]
        if self.model is not None and self.model == whole.model:
            yield (
                f"variant 'architecture' names '{self.title}', which is the simulation's own "
                "model. Leave 'model' out."
            )
        if any(form.title == self.title and form.model != self.model for form in own):
            yield (
                f"two different models are called '{self.title}', so that tables could not tell "
                "them apart. Give one a 'label'."
            )
        distils = getattr(whole.strategy, "distils", False)
        if self is own[0]:
            yield from _others(forms, distils)
        taught = any(form.train and form.title == self.title for form in own)
        if not distils and not taught:
            yield (
                f"no device trains the architecture '{self.title}', and strategy "
                f"'{whole.strategy.name}' does not distil into it. Set strategy.name to "
                "'ensemble-distillation', or 'train' to true."
            )


def _others(forms: list[VariantConfig], distils: bool) -> Iterable[str]:
    """Every device has an architecture, or is tested on the simulation's own."""
    taught = distils or any(form.trains and form.architecture is None for form in forms)
    if not taught and any(form.name == "excluded" for form in forms):
        yield (
            "some devices are 'excluded' and tested on the simulation's own model, which no device "
            "trains. Give a device variant 'architecture' without a model."
        )
    for form in forms:
        placed = isinstance(form, ArchitectureConfig) or form.name == "excluded"
        if not placed and not form.candidates():
            block = "{name: architecture, train: false}" if not form.trains else "architecture"
            yield (
                f"some devices have variant 'architecture', and others '{form.name}', which does "
                "not know that the global model holds several. For the simulation's own model "
                f"write 'variant: {block}', without a model."
            )
            return
