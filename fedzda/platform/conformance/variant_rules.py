"""What a variant, a form of the model that a device can afford, must do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from fedzda.base import Cost, ImageSpec, Turn, Variant
from fedzda.platform import plugins
from fedzda.platform.config import VariantConfig
from fedzda.platform.conformance.findings import Broken, reason
from fedzda.platform.conformance.model_rules import built
from fedzda.platform.conformance.run_rules import RESUMES, RUNS_TWICE, SINGLE_SAMPLE, config_of
from fedzda.platform.data.dealing import dealt, image_of
from fedzda.platform.devices.forms import load_variant
from fedzda.platform.devices.variant_block import variant_config

if TYPE_CHECKING:
    from fedzda.platform.conformance.check import Bench, Rule

_TRAINING, _TESTING = Turn(0, 1, 2, training=True), Turn(0, 1, 2, training=False)


class Placed(NamedTuple):
    """A form with the global model that it is a form of, and a batch of samples."""

    config: VariantConfig
    form: Variant
    model: nn.Module
    task: Any
    batch: dict[str, torch.Tensor]
    image: ImageSpec


def placed(bench: Bench) -> Iterator[Placed]:
    """The form; of one that is chosen by memory and deadline, every one that it may be."""
    config = _config(bench)
    model, task, batch = built(bench)
    image = task.given(image_of(dealt(config_of(bench), bench.folder)))
    for own in config.candidates() or [config]:
        try:
            form = load_variant(own, model, image)
        except TypeError as error:
            raise Broken(
                f"it cannot be made as Class(config, model, image): {reason(error)}"
            ) from error
        yield Placed(own, form, model, task, batch, image)


def _config(bench: Bench) -> VariantConfig:
    config = getattr(bench.subject.component, "Config", None)
    if not (isinstance(config, type) and issubclass(config, VariantConfig)):
        raise Broken(
            "it needs a class attribute Config that derives from "
            "fedzda.platform.config.VariantConfig: its settings, and what others must know of it."
        )
    return variant_config(bench.subject.block)


def fits(bench: Bench) -> None:
    """There is such a form of the model, and it can be trained."""
    for own in placed(bench):
        lacking = [name for name in _METHODS if not callable(getattr(own.form, name, None))]
        if lacking:
            raise Broken(f"it must have the methods {', '.join(lacking)} (fedzda.base.Variant).")
        personal = getattr(own.form, "personal", None)
        if not isinstance(personal, bool):
            raise Broken(f"personal must be True or False (got {personal!r}).")
        device_model = own.form.build(own.model, _TRAINING)
        if not isinstance(device_model, nn.Module):
            raise Broken(f"build must return a torch module (got {type(device_model).__name__}).")
        _answers_alike(own)
        _train(own, device_model)


_METHODS = ("build", "calibrate", "hooks", "deploy", "to_global", "cost")


def _answers_alike(own: Placed) -> None:
    """What is deployed answers in the shapes of the global model, which the task reads."""
    with torch.no_grad():
        found, wanted = (
            {name: tuple(value.shape) for name, value in answers.items()}
            for answers in (_answers(own), _named(own.task.outputs(own.model.eval(), own.batch)))
        )
    if found != wanted:
        name = next(n for n in {**wanted, **found} if found.get(n) != wanted.get(n))
        raise Broken(
            f"for {len(own.batch['image'])} images the deployed model gives {found.get(name)} and "
            f"the global model {wanted.get(name)} ({name}): a form keeps the shape of the answers, "
            "or the task cannot read them."
        )


def _train(own: Placed, device_model: nn.Module) -> None:
    """One step of plain SGD on the batch."""
    own.form.calibrate(device_model, own.task.shown(own.batch))
    device_model.train()
    loss = own.task.loss(device_model, own.batch)
    if not torch.isfinite(loss):
        raise Broken(f"the loss of the device model is {loss.item()} before the first step.")
    trained = [p for p in device_model.parameters() if p.requires_grad]
    for value, gradient in zip(
        trained, torch.autograd.grad(loss, trained, allow_unused=True), strict=True
    ):
        if gradient is not None:
            value.data.sub_(0.1 * gradient)


def leaves_the_model(bench: Bench) -> None:
    """The global model is the server's: devices work on a copy."""
    for own in placed(bench):
        before = {name: value.clone() for name, value in own.model.state_dict().items()}
        device_model = own.form.build(own.model, _TRAINING)
        _train(own, device_model)
        _deployed(own)
        for name, value in own.model.state_dict().items():
            if not torch.equal(value, before[name]):
                raise Broken(
                    f"training a device model changes '{name}' of the global model: build must "
                    "return a copy."
                )


def same_twice(bench: Bench) -> None:
    """What a device gets follows from the model and the turn."""
    for own in placed(bench):
        for turn in (_TRAINING, _TESTING):
            one, two = (own.form.build(own.model, turn).state_dict() for _ in range(2))
            if one.keys() != two.keys() or any(not torch.equal(one[k], two[k]) for k in one):
                raise Broken(
                    "build gives another device model the second time: what is drawn at random "
                    "must follow from the turn (fedzda.base.stream)."
                )


def comes_back(bench: Bench) -> None:
    """A device model that was not trained brings back the entries that it was given."""
    for own in placed(bench):
        sent = {name: value.numpy() for name, value in own.model.state_dict().items()}
        arrays, coverage = _to_global(own, own.form.build(own.model, _TRAINING), sent)
        for name, value in arrays.items():
            held = np.broadcast_to(coverage.get(name, np.True_), value.shape)
            if not np.array_equal(value[held], sent[name][held]):
                raise Broken(
                    f"to_global of a device model that was just built differs in '{name}': entries "
                    "must come back to the places that they were taken from."
                )
        whole = len(arrays) == len(sent) and not coverage
        if own.config.whole and not whole:
            raise Broken(
                "Config.whole says that a device has the whole model, and to_global leaves some of "
                "it uncovered. Set whole to False."
            )


def _to_global(
    own: Placed, device_model: nn.Module, sent: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    found: Any = own.form.to_global(device_model, _TRAINING)
    if not (isinstance(found, tuple) and [isinstance(part, dict) for part in found] == [True] * 2):
        raise Broken(
            "to_global must return two dictionaries: arrays in the shapes of the global model, and "
            f"the coverage of those that are not whole (got {type(found).__name__})."
        )
    arrays, coverage = found
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray | np.generic):  # sums of () are scalars
            raise Broken(
                f"to_global must bring '{name}' as a NumPy array (got {type(value).__name__}; "
                "fedzda.clients.weights.snapshot makes them)."
            )
        if name not in sent:
            raise Broken(
                f"to_global brings '{name}', which the global model does not have: use the names "
                "of the global model, and leave out what the device keeps to itself."
            )
        if np.shape(value) != sent[name].shape:
            raise Broken(
                f"to_global must bring '{name}' in the shape of the global model, "
                f"{sent[name].shape} (got {value.shape}): put the entries where they were taken "
                "from, and mark them in the coverage."
            )
        if value.dtype != sent[name].dtype:
            raise Broken(
                f"to_global must bring '{name}' in the type of the global model, "
                f"{sent[name].dtype} (got {value.dtype})."
            )
    for name, held in coverage.items():
        if name not in arrays or held.dtype != bool or held.shape != sent[name].shape:
            raise Broken(f"the coverage of '{name}' must be a bool array in the shape of it.")
    return arrays, coverage


def learns(bench: Bench) -> None:
    """A step on the device changes what comes back."""
    for own in placed(bench):
        if not own.config.trains:
            continue
        sent = {name: value.numpy().copy() for name, value in own.model.state_dict().items()}
        device_model = own.form.build(own.model, _TRAINING)
        _train(own, device_model)
        arrays, coverage = _to_global(own, device_model, sent)
        moved = [
            name
            for name, value in arrays.items()
            if ((value != sent[name]) & coverage.get(name, np.True_)).any()
        ]
        if not moved:
            raise Broken(
                "a step of training on the device changes nothing that to_global brings back: the "
                "loss must reach the weights of the device model, and these must be covered."
            )


def is_tested(bench: Bench) -> None:
    """What is deployed answers for every image, the same every time."""
    for own in placed(bench):
        first, second = (_answers(own) for _ in range(2))
        for name, value in first.items():
            if len(value) != len(own.batch["image"]):
                raise Broken(
                    f"the deployed model gives {len(value)} answers for "
                    f"{len(own.batch['image'])} images."
                )
            if not torch.isfinite(value).all():
                raise Broken("the deployed model gives answers that are not finite.")
            if not torch.equal(value, second[name]):
                raise Broken(
                    "the deployed model gives other answers the second time: deploy must follow "
                    "from the model, the images and the turn."
                )


def _deployed(own: Placed) -> nn.Module:
    images = own.task.shown(own.batch) if own.form.personal else None
    return own.form.deploy(own.form.build(own.model, _TESTING), images, _TESTING)


def _answers(own: Placed) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return _named(own.task.outputs(_deployed(own), own.batch))


def _named(outputs: Any) -> dict[str, torch.Tensor]:
    return outputs if isinstance(outputs, dict) else {"answer": outputs}


def has_a_cost(bench: Bench) -> None:
    """What it takes on a device is known, in whole numbers, and not more than the full model."""
    for own in placed(bench):
        cost = own.task.cost(own.form, own.model)
        if not isinstance(cost, Cost):
            raise Broken(f"cost must return a fedzda.base.Cost (got {type(cost).__name__}).")
        for name, value in asdict(cost).items():
            if not isinstance(value, int) or value <= 0 or not math.isfinite(value):
                raise Broken(f"cost().{name} must be a whole number above 0 (got {value!r}).")
        if cost != own.task.cost(own.form, own.model):
            raise Broken("cost() differs from call to call.")
        if own.config.trains and not own.config.extends:
            _gains(cost, own)


def _gains(cost: Cost, own: Placed) -> None:
    """A form is for devices that cannot afford the full model. One that adds to the global model
    (heads, other architectures) may be larger than the run's own, and so may a finished file."""
    plain = load_variant(plugins.config_class("variants", "full")(), own.model, own.image)
    full = asdict(own.task.cost(plain, own.model))
    more = [name for name, value in asdict(cost).items() if value > full[name]]
    if more and not any(value < full[name] for name, value in asdict(cost).items()):
        raise Broken(
            f"cost().{more[0]} is {getattr(cost, more[0])}, that of the full model "
            f"{full[more[0]]}, and no other figure is smaller: no device would gain. Count what "
            "the device model holds and computes."
        )


RULES: dict[str, list[Rule]] = {
    "variant": [
        ("there is such a form of the model, and it can be trained", fits),
        ("the global model stays as it is", leaves_the_model),
        ("equal turns give equal device models", same_twice),
        ("entries come back to where they were taken from", comes_back),
        ("training on the device changes what comes back", learns),
        ("what is deployed answers for every image", is_tested),
        ("its cost is known", has_a_cost),
        RUNS_TWICE,
        RESUMES,
        SINGLE_SAMPLE,
    ]
}
