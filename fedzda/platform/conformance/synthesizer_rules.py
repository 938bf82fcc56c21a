"""What a synthesizer must do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from fedzda.base import ImageSpec, Synthesizer
from fedzda.platform.conformance.findings import Broken
from fedzda.platform.conformance.run_rules import RESUMES, RUNS_TWICE, SINGLE_SAMPLE, config_of
from fedzda.platform.conformance.runs import play
from fedzda.platform.data.dealing import dealt, image_of
from fedzda.platform.parts import build_synthesizer
from fedzda.platform.rounds import seeded_globals
from fedzda.platform.runs import Run

if TYPE_CHECKING:
    from fedzda.platform.conformance.check import Bench, Rule

_FIGURES = ("agreement", "bn_loss")
_COUNT = 6
_CLASSIFIER = "classifier"


class Fitted(NamedTuple):
    """A synthesizer after a fit, and what it was fitted to."""

    maker: Synthesizer
    figures: dict[str, float]
    classifier: nn.Module
    image: ImageSpec


def classifier_of(bench: Bench) -> tuple[nn.Module, ImageSpec]:
    """A classifier in eval mode that a round of federated averaging has trained, once a check."""
    changes = {"name": _CLASSIFIER, "rounds": 1, "strategy": {"name": "fed-avg"}}
    config = config_of(bench, **changes)
    found = next(bench.output.glob(f"*_{_CLASSIFIER}_*"), None)
    run = Run(found) if found else play(config, bench.folder)
    return run.model(), image_of(dealt(config, bench.folder))


def fitted(bench: Bench) -> Fitted:
    """A new synthesizer, fitted with fixed random numbers. Raises Broken if it is none."""
    maker = build_synthesizer(bench.subject.block)
    lacking = [name for name in _METHODS if not callable(getattr(maker, name, None))]
    if lacking:
        raise Broken(f"it must have the methods {', '.join(lacking)} (fedzda.base.Synthesizer).")
    classifier, image = classifier_of(bench)
    figures = maker.fit(classifier, _classes(image), image, _rng(0))
    return Fitted(maker, figures, classifier, image)


_METHODS = ("fit", "sample", "state", "load_state", "save")


def _rng(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def _classes(image: ImageSpec) -> list[int]:
    return list(range(image.num_classes))


def _labels(image: ImageSpec) -> torch.Tensor:
    return torch.arange(_COUNT) % image.num_classes


def fits(bench: Bench) -> None:
    """It learns from a frozen classifier and says how well."""
    figures = fitted(bench).figures
    for name in _FIGURES:
        value = figures.get(name) if isinstance(figures, dict) else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise Broken(f"fit must return a dict with a finite number '{name}' (got {figures!r}).")
    if not 0 <= figures["agreement"] <= 1:
        raise Broken(
            "'agreement' is the share of samples that the classifier gives their label, from 0 to "
            f"1 (got {figures['agreement']:g})."
        )


def leaves_the_classifier(bench: Bench) -> None:
    """The classifier is frozen: fit looks at it and changes nothing."""
    classifier, image = classifier_of(bench)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    flags = [p.requires_grad for p in classifier.parameters()]
    build_synthesizer(bench.subject.block).fit(classifier, _classes(image), image, _rng(0))
    for name, value in classifier.state_dict().items():
        if not torch.equal(value, before[name]):
            raise Broken(f"fit changes '{name}' of the classifier: leave it in eval mode.")
    if any(module.training for module in classifier.modules()):
        raise Broken("fit leaves the classifier in train mode: put back what you switch.")
    if [p.requires_grad for p in classifier.parameters()] != flags:
        raise Broken("fit leaves other requires_grad flags on the classifier: put them back.")
    if any(p.grad is not None for p in classifier.parameters()):
        raise Broken(
            "fit leaves gradients on the classifier: switch requires_grad off while it runs."
        )


def makes_images(bench: Bench) -> None:
    """One image per label, in the shape and range of images."""
    maker, _, _, image = fitted(bench)
    labels = _labels(image)
    found = maker.sample(labels, _rng(1))
    if not isinstance(found, torch.Tensor) or found.shape != (_COUNT, *image.shape):
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise Broken(f"sample must return images of shape {(_COUNT, *image.shape)} (got {shape}).")
    if found.dtype != torch.float32:
        raise Broken(f"sample must return float32 (got {found.dtype}).")
    if found.requires_grad:
        raise Broken("sample must return images without a gradient: use torch.no_grad().")
    if not ((found >= 0) & (found <= 1)).all():
        raise Broken("sample must return pixels in [0, 1], not normalised: clamp them.")


def draws_from_rng(bench: Bench) -> None:
    """Equal random numbers give equal images."""
    samples = []
    for number in range(2):
        with seeded_globals(number, 0):  # which must not matter
            torch.manual_seed(number)
            maker, _, _, image = fitted(bench)
            samples.append(maker.sample(_labels(image), _rng(1)))
    if not torch.equal(*samples):
        raise Broken(
            "two fits with equal rng give other images: draw from the rng that is given, and pass "
            "it to every random call (initial weights too)."
        )


def state_is_enough(bench: Bench) -> None:
    """Another synthesizer with its state makes the same images."""
    maker, _, _, image = fitted(bench)
    state = maker.state()
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise Broken(f"state must return tensors by name (got {type(state).__name__}).")
    other = build_synthesizer(bench.subject.block)
    other.load_state({name: value.clone() for name, value in state.items()}, image)
    one, two = (each.sample(_labels(image), _rng(1)) for each in (maker, other))
    if not torch.equal(one, two):
        raise Broken(
            "a synthesizer that took over the state makes other images: everything that sample "
            "needs must be in state()."
        )


def writes_a_file(bench: Bench) -> None:
    """Its file is safetensors with the state, and says which classifier was inverted."""
    from safetensors import safe_open

    maker = fitted(bench).maker
    path = Path(bench.output) / "synthesizer.safetensors"
    maker.save(path, "0123456789abcdef")
    try:
        with safe_open(path, framework="pt") as file:
            names, metadata = set(file.keys()), file.metadata() or {}
    except Exception as error:
        raise Broken(f"save must write a safetensors file at the path given ({error}).") from error
    if names != set(maker.state()):
        raise Broken(f"the file must hold the tensors of state() (it has {sorted(names)}).")
    if "0123456789abcdef" not in metadata.values():
        raise Broken("the file's metadata must hold the classifier's fingerprint.")


def goes_on(bench: Bench) -> None:
    """A second fit continues, and may ask for fewer classes."""
    maker, _, classifier, image = fitted(bench)
    some = _classes(image)[:2]
    maker.fit(classifier, some, image, _rng(2))
    found = maker.sample(torch.tensor(some), _rng(3))
    if found.shape != (len(some), *image.shape) or not torch.isfinite(found).all():
        raise Broken(
            f"after a second fit with the classes {some}, sample must return their images (got "
            f"shape {tuple(found.shape)})."
        )


RULES: dict[str, list[Rule]] = {
    "synthesizer": [
        ("it fits a frozen classifier and says how well", fits),
        ("it leaves the classifier as it was", leaves_the_classifier),
        ("it makes an image per label", makes_images),
        ("equal random numbers give equal images", draws_from_rng),
        ("its state is all that sampling needs", state_is_enough),
        ("its file holds the state and the classifier's fingerprint", writes_a_file),
        ("a second fit goes on", goes_on),
        RUNS_TWICE,
        RESUMES,
        SINGLE_SAMPLE,
    ]
}
