"""What is typed after a command on trained models, as configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.base import ImageSpec, StrictConfig, UserError

if TYPE_CHECKING:
    from fedzda.clients.classifiers import Classifier
    from fedzda.platform.data.federation import Federation

Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT", help="A run folder, or weights (.safetensors, .pt) of a classifier."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Model of bare weights: a name, module:Class, or a block."),
]
Shape = Annotated[str | None, typer.Option(metavar="C,H,W", help="Images of bare weights.")]
Classes = Annotated[int | None, typer.Option(metavar="N", help="Classes of bare weights.")]
Mean = Annotated[
    str | None, typer.Option(metavar="A,B,…", help="Mean of its pixels in [0, 1]; left out: 0.")
]
Std = Annotated[
    str | None, typer.Option(metavar="A,B,…", help="Their standard deviation; left out: 1.")
]


def classifier_of(
    checkpoint: str,
    model: str | None,
    shape: str | None,
    classes: int | None,
    mean: str | None,
    std: str | None,
) -> Classifier:
    """The classifier that ``CHECKPOINT``, ``--model``, ``--shape``, … name.

    Raises:
        UserError: See :func:`fedzda.clients.classifiers.load_classifier`.
    """
    from fedzda.clients.classifiers import load_classifier
    from fedzda.platform.plugins import add_plugin_folder

    add_plugin_folder(Path.cwd())
    block = None if model is None else block_of(model)
    return load_classifier(Path(checkpoint), block, image_of(shape, classes, mean, std))


def block_of(text: str) -> dict[str, Any]:
    """``lenet-bn``, ``package.module:Name`` or ``{name: …, …}`` as a block of configuration."""
    from fedzda.platform.yaml_loader import parse_value

    value = parse_value(text)
    if isinstance(value, dict):
        return value
    return {"target" if ":" in str(value) else "name": str(value)}


def image_of(
    shape: str | None, classes: int | None, mean: str | None, std: str | None
) -> ImageSpec | None:
    """The images that the options describe; None if there is neither shape nor classes.

    Raises:
        UserError: Half of it, or text that is no list of numbers.
    """
    if shape is None and classes is None:
        return None
    if shape is None or classes is None:
        raise UserError("--shape and --classes describe the images together: give both.")
    sides = [int(value) for value in _numbers("--shape", shape)]
    if len(sides) != 3 or min(sides) < 1:
        raise UserError(f"--shape must be channels,height,width, for example 3,32,32 (got {shape})")
    means = _per_channel("--mean", mean or "0", sides[0])
    stds = _per_channel("--std", std or "1", sides[0])
    if min(stds) <= 0:
        raise UserError(f"--std must be above 0 (got {std}). Give that of pixels in [0, 1].")
    return ImageSpec((sides[0], sides[1], sides[2]), classes, means, stds)


def component(kind: str, block: Mapping[str, Any], settings: Sequence[str]) -> StrictConfig:
    """The configuration of a component from a block and ``key=value`` texts.

    Args:
        kind: For example ``synthesizers``.
        block: With a name or a target.
        settings: Applied in order; those of a target go to its arguments.

    Raises:
        UserError: With all that is wrong.
    """
    from pydantic import ValidationError

    from fedzda.platform import plugins
    from fedzda.platform.config import Slot, chosen_class, specialise
    from fedzda.platform.config_problems import Problem, from_pydantic, render
    from fedzda.platform.overrides import Sources, apply_overrides

    if "target" in block:
        settings = [f"args.{text}" for text in settings]
    else:
        plugins.entry(kind, str(block.get("name")))
    sources = Sources(kind)
    raw, unusable = apply_overrides(dict(block), settings, sources)
    problems = [Problem((), sentence, override=text) for text, sentence in unusable]
    model = specialise(chosen_class(Slot(kind), raw), raw)
    try:
        config = model.model_validate(raw)
    except ValidationError as error:
        problems += from_pydantic(error, model, raw)
    if problems:
        raise UserError(*render(problems, sources))
    return config


def data_of(text: str) -> Federation:
    """The data set of ``--data``, read as one client's.

    Raises:
        UserError: No such data set, or it cannot be read.
    """
    from fedzda.platform.config import DataConfig
    from fedzda.platform.data.federation import prepare

    config = component("datasets", {"clients": 1, **block_of(text)}, [])
    assert isinstance(config, DataConfig)
    return prepare(config, 0, Path.cwd())


def _per_channel(option: str, text: str, channels: int) -> tuple[float, ...]:
    """One number per channel; a single one stands for all."""
    values = _numbers(option, text)
    if len(values) not in (1, channels):
        raise UserError(
            f"{option} must have one number, or one for each of the {channels} channels "
            f"(got {text})."
        )
    return tuple(values * channels if len(values) == 1 else values)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(
            f"{option} must be numbers with commas between them (got {text})."
        ) from error
