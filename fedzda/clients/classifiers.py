"""Trained classifiers from files, for commands that need one frozen model.

``load_classifier`` reads a run folder, a file of :func:`save_classifier`, or bare weights together
with the name of a model and its images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import nn

from fedzda.base import ImageSpec, UserError, fingerprint
from fedzda.generators.files import image_from_json, image_json, read_tensors, write_tensors
from fedzda.platform import plugins
from fedzda.platform.config import Slot, TargetConfig, chosen_class
from fedzda.platform.config.overrides import Sources
from fedzda.platform.config.problems import from_pydantic, render
from fedzda.platform.devices.architectures import own_arrays

if TYPE_CHECKING:
    from fedzda.platform.data.federation import Federation

_PICKLED = (".pt", ".pth", ".bin", ".ckpt")
_NESTED = ("state_dict", "model_state_dict", "model")


class Classifier(NamedTuple):
    """A trained model and what it was trained on."""

    model: nn.Module
    """In eval mode, on the CPU."""
    image: ImageSpec
    """The images it takes."""
    fingerprint: str
    """Of its weights and statistics, see :func:`fedzda.base.fingerprint`."""
    block: Mapping[str, Any]
    """The model as ``model:`` in a simulation, from which a further one can be built."""


def load_classifier(
    path: Path, model: Mapping[str, Any] | None = None, image: ImageSpec | None = None
) -> Classifier:
    """A frozen classifier.

    Args:
        path: A run folder (its newest checkpoint), a safetensors file that
            :func:`save_classifier` wrote, or a state dict (``.safetensors``, or ``.pt`` with
            tensors only).
        model: For a bare state dict: ``{"name": …}`` of a built-in model with its keys, or
            ``{"target": "package.module:Class", "args": {…}}``.
        image: For a bare state dict: the images it was trained on.

    Raises:
        UserError: Nothing there, damaged, not enough said, or weights of another model.
    """
    if path.is_dir():
        return _from_run(path)
    if not path.exists():
        raise UserError(
            f"there is no file or folder '{path}'. Name a run folder or a file of weights."
        )
    tensors, metadata = _read(path)
    block: Mapping[str, Any] | None = model
    if block is None and "model" in metadata:
        block = json.loads(metadata["model"])
    if image is None and "image" in metadata:
        image = image_from_json(metadata["image"])
    if block is None or image is None:
        lacking = "of which model" if block is None else "for which images"
        raise UserError(
            f"'{path}' holds weights, but nothing says {lacking}. Give --model, --shape and "
            "--classes, and --mean and --std if the pixels were normalised."
        )
    return _assembled(block, tensors, image, str(path))


def save_classifier(
    model: nn.Module,
    path: Path,
    model_block: Mapping[str, Any],
    image: ImageSpec,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write weights and all that is needed to build the model again, never half.

    Args:
        model: The trained model.
        path: A ``.safetensors`` file; its folder exists.
        model_block: As ``model:`` in a simulation: ``{"name": …}`` or ``{"target": …}``.
        image: The images it was trained on.
        extra: Further metadata, for example the recipe.
    """
    tensors = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    metadata = {"model": json.dumps(dict(model_block)), "image": image_json(image)}
    write_tensors(tensors, path, {**metadata, **(extra or {})})


def build_model(block: Mapping[str, Any], image: ImageSpec) -> nn.Module:
    """The model of a block, with weights from torch's global stream.

    Raises:
        UserError: No such model, keys it does not have, or a target that is no torch module.
    """
    kind = chosen_class(Slot("models"), _named(block))
    try:
        config = kind.model_validate(dict(block))
    except ValidationError as error:
        raise UserError(*render(from_pydantic(error, kind, block), Sources("model"))) from error
    if not isinstance(config, TargetConfig):
        built: nn.Module = plugins.load("models", block["name"]).build(config, image)
        return built
    try:
        made = plugins.import_target(config.target)(**config.args)
    except TypeError as error:
        raise UserError(
            f"target '{config.target}' cannot be called with {config.args}: {error}. Give its "
            "arguments as --model '{target: " + config.target + ", args: {…}}'."
        ) from error
    if not isinstance(made, nn.Module):
        raise UserError(
            f"target '{config.target}' gives {type(made).__name__}: it must give a "
            "torch.nn.Module. Name the class, or a function that returns a model."
        )
    return made


def _named(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """``block``, which names a model. Raises UserError if it does not, or an unknown one."""
    if "target" not in block:
        plugins.entry("models", str(block.get("name", "")))
    return block


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors of a file of weights, and its metadata if it has any."""
    if path.suffix not in _PICKLED:
        return read_tensors(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise UserError(
            f"'{path}' cannot be read safely: it is damaged, or holds more than tensors (whole "
            "models run code when they are loaded). Save model.state_dict() instead."
        ) from error
    for name in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in loaded.values()
    ):
        raise UserError(
            f"'{path}' holds no state dict (names with tensors). Save model.state_dict() in it."
        )
    return dict(loaded), {}


def _assembled(
    block: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], image: ImageSpec, where: str
) -> Classifier:
    model = build_model(block, image)
    try:
        model.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"the weights in '{where}' do not fit model {type(model).__name__} for images of shape "
            f"{image.shape} and {image.num_classes} classes ({reason}). Name the model, shape and "
            "classes that they were trained with."
        ) from error
    return Classifier(model.eval(), image, fingerprint(model.state_dict()), dict(block))


def federation_of(run_folder: Path) -> Federation:
    """The data that a run was trained on, with the labels that it was trained with: those of a
    scenario are positions in the order of learning.

    Raises:
        UserError: No run folder, or its data are gone.
    """
    from fedzda.platform.data.dealing import dealt
    from fedzda.platform.runs import load

    run = load(run_folder)
    return dealt(run.config, run.source)


def _require_classes(task: Any, path: Path) -> None:
    """Refuse a run of one of our tasks that gives images no class; others are taken on trust.

    Raises:
        UserError: It is such a run.
    """
    name = getattr(task, "name", None)
    if name != "classification" and plugins.ours("tasks", name):
        raise UserError(
            f"run '{path}' trained a model for the task '{name}', which is no classifier of "
            "images. Name a run whose task is 'classification'."
        )


def _from_run(path: Path) -> Classifier:
    """The newest checkpoint of a run folder."""
    from fedzda.platform import checkpoint as checkpoints
    from fedzda.platform.runs import load

    config = load(path).config
    _require_classes(config.task, path)
    latest = checkpoints.load_latest(path / "checkpoints")
    if latest is None:
        raise UserError(f"run '{path}' has no checkpoint yet. Finish it with: fedzda resume {path}")
    image = federation_of(path).image
    if image is None:
        raise UserError(f"run '{path}' was not trained on images. Name one that was.")
    block, arrays = config.model.model_dump(mode="json"), own_arrays(latest.arrays, None)
    if any(form.extends for form in config.devices.variants()):
        own = build_model(block, image).state_dict()  # what devices add to it is no part of it
        arrays = {name: value for name, value in arrays.items() if name in own}
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    return _assembled(block, tensors, image, str(path))
