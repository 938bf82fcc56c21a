"""What is typed after a command on trained models, as configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.base import ImageSpec, StrictConfig, Synthesizer, UserError

if TYPE_CHECKING:
    import torch

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
Out = Annotated[str | None, typer.Option(metavar="DIR", help="New folder for the results.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]


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
    from fedzda.platform.config.yaml_loader import parse_value

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
        if mean is not None or std is not None:
            raise UserError(
                "--mean and --std describe the images of bare weights, together with --shape and "
                "--classes: give these too, or leave them out."
            )
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
    from fedzda.platform import plugins
    from fedzda.platform.config import Slot, chosen_class

    if "target" in block:
        settings = [f"args.{text}" for text in settings]
    else:
        plugins.entry(kind, str(block.get("name")))
    return configured(chosen_class(Slot(kind), block), block, settings, kind)


def configured(
    model: type[StrictConfig], block: Mapping[str, Any], settings: Sequence[str], label: str
) -> StrictConfig:
    """A configuration of the class ``model`` from a block and ``key=value`` texts.

    Args:
        model: The class.
        block: Values to start from.
        settings: Applied in order.
        label: What errors call the block.

    Raises:
        UserError: With all that is wrong.
    """
    from fedzda.platform.config.load import validated
    from fedzda.platform.config.overrides import Sources, apply_overrides

    sources = Sources(label)
    raw, unusable = apply_overrides(dict(block), settings, sources)
    return validated(model, raw, sources, unusable)


def now() -> str:
    """The time for a name: with milliseconds, since several commands may start in a second."""
    time = datetime.now()
    return f"{time:%Y%m%d-%H%M%S}-{time.microsecond // 1000:03}"


def new_folder(out: str | None, parent: str, stem: str) -> Path:
    """A folder that does not exist yet; it is made when there is something to put in.

    Args:
        out: What ``--out`` says; None: ``parent/TIME_stem``.
        parent: Folder of results of this command.
        stem: What the name says after the time.

    Raises:
        UserError: ``--out`` exists.
    """
    if out is None:
        return Path(parent) / f"{now()}_{stem}"
    folder = Path(out).expanduser()
    if folder.exists():
        raise UserError(f"--out is '{out}', which exists already. Name a new folder.")
    return folder


def synthesizer_of(text: str, settings: Sequence[str]) -> Synthesizer:
    """A synthesizer, not fitted yet, from its name or block and ``key=value`` texts.

    Raises:
        UserError: No such synthesizer, wrong settings, or a target that is none.
    """
    from fedzda.platform import plugins
    from fedzda.platform.config import TargetConfig

    block = component("synthesizers", block_of(text), settings)
    if isinstance(block, TargetConfig):
        made: Any = plugins.import_target(block.target)(**block.args)
    else:
        made = plugins.load("synthesizers", block.name)(block)  # type: ignore[attr-defined]
    if not isinstance(made, Synthesizer):
        raise UserError(
            f"synthesizer '{text}' gives {type(made).__name__}: it must have the methods of "
            "fedzda.base.Synthesizer."
        )
    return made


def described(maker: Synthesizer) -> dict[str, Any]:
    """A synthesizer's configuration; if it has no ``name``, that of its class."""
    config = getattr(maker, "config", None)
    settings = config.model_dump(mode="json") if isinstance(config, StrictConfig) else {}
    return {"name": type(maker).__name__, **settings}


def fitted(
    maker: Synthesizer, made_of: Classifier, count: int, seed: int
) -> tuple[dict[str, float], torch.Tensor, torch.Tensor]:
    """Fit, and sample.

    Returns:
        Figures of the fit, ``count`` images in [0, 1], and their labels in a random order, all
        classes alike.
    """
    from fedzda.base import torch_rng

    classes, rng = range(made_of.image.num_classes), torch_rng(seed, "synthesize-fit")
    typer.echo(f"inverting {type(made_of.model).__name__} with {described(maker)['name']} …")
    figures = maker.fit(made_of.model, classes, made_of.image, rng)
    return figures, *sampled(maker, len(classes), count, seed)


def sampled(
    maker: Synthesizer, classes: int, count: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """``count`` images in [0, 1] of a fitted synthesizer, and their labels in a random order, all
    classes alike."""
    import torch

    from fedzda.base import torch_rng

    rng = torch_rng(seed, "synthesize-sample")
    labels = torch.arange(classes).repeat(-(-count // classes))[:count]
    labels = labels[torch.randperm(count, generator=rng)]
    return maker.sample(labels, rng), labels


def saved_synthesizer(path: Path, image: ImageSpec) -> Synthesizer:
    """A fitted synthesizer from a file that ``fedzda synthesize`` or a run has written.

    Raises:
        UserError: No such file, no synthesizer, or one for other images.
    """
    from fedzda.generators.files import read_state
    from fedzda.platform.parts import build_synthesizer

    saved = read_state(path)
    theirs, ours = saved.image, (image.shape, image.num_classes)
    if theirs is not None and (theirs.shape, theirs.num_classes) != ours:
        raise UserError(
            f"the generator '{path}' makes images of shape {theirs.shape} and {theirs.num_classes} "
            f"classes, and the classifier takes {ours[0]} and {ours[1]}. Name one for the same "
            "images."
        )
    maker = build_synthesizer(saved.config)
    maker.load_state(saved.state, image)
    return maker


def real_data(
    checkpoint: str, data: str | None, option: str, image: ImageSpec
) -> Federation | None:
    """The data set that an option names, else that of the run that is the checkpoint, else None.

    Args:
        checkpoint: What was typed as CHECKPOINT.
        data: What the option says; None if it was left out.
        option: Its name, for errors.
        image: The images that the classifier takes.

    Raises:
        UserError: It cannot be read, or has other images.
    """
    if data is not None:
        federation = data_of(data)
    elif Path(checkpoint).is_dir():
        from fedzda.clients.classifiers import federation_of

        federation = federation_of(Path(checkpoint))
    else:
        return None
    found = tuple(federation.test["image"].shape[1:])
    if found != image.shape:
        raise UserError(
            f"{option} has images of shape {found}, the classifier takes {image.shape}. Name the "
            "data set it was trained on."
        )
    return federation


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
