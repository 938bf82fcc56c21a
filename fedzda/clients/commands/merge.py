"""``fedzda merge``: one classifier of two with different classes, without data."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.clients.commands.arguments import (
    Classes,
    Mean,
    Model,
    Seed,
    Shape,
    Std,
    block_of,
    classifier_of,
    configured,
    now,
    real_data,
)

if TYPE_CHECKING:
    from fedzda.base import ImageSpec
    from fedzda.clients.classifiers import Classifier
    from fedzda.clients.incremental.merge import Merged
    from fedzda.platform.data.federation import Federation

_BATCH = 256


def merge(
    first: Annotated[
        str,
        typer.Argument(
            metavar="FIRST", help="A run folder, or weights (.safetensors, .pt) of a classifier."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="Another one, of other classes.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Of the training, e.g. steps=2000."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="New .safetensors file for the result.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Its model: a name or block; left out: as the first."),
    ] = None,
    model: Model = None,
    shape: Shape = None,
    classes: Classes = None,
    mean: Mean = None,
    std: Std = None,
    test_first: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Data of the first's classes: a name or block."),
    ] = None,
    test_second: Annotated[
        str | None, typer.Option(metavar="NAME", help="The same for the second.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Merge two classifiers with different classes into one, without data.

    The result has the classes of the first, then those of the second. Where test data are known,
    those of run folders or of --test-first and --test-second, its accuracy is printed.
    """
    from fedzda.clients.incremental.merge import merge as merged
    from fedzda.clients.incremental.merge_config import MergeConfig

    config = configured(MergeConfig, _kept_blocks(settings or []), settings or [], "merge")
    assert isinstance(config, MergeConfig)
    path = _new_file(out, seed)
    given = [classifier_of(each, model, shape, classes, mean, std) for each in (first, second)]
    _tell_shared(first, second)
    wanted = ((first, test_first, "--test-first"), (second, test_second, "--test-second"))
    known = [
        real_data(checkpoint, data, option, own.image)
        for (checkpoint, data, option), own in zip(wanted, given, strict=True)
    ]
    block = None if student is None else block_of(student)
    _check_student(block or given[0].block, given)
    started = time.perf_counter()
    made = merged(given[0], given[1], config, seed, block, typer.echo)
    record = {
        "first": {"checkpoint": first, "classifier": given[0].fingerprint},
        "second": {"checkpoint": second, "classifier": given[1].fingerprint},
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "fit": made.figures,
        "tested": _tested(given, made, known),
    }
    _write(path, made, record)
    _print(record, given, path)


def _kept_blocks(settings: Sequence[str]) -> dict[str, Any]:
    """The default blocks of which the settings change keys at most, and not what they name."""
    from fedzda.clients.incremental.merge_config import MergeConfig
    from fedzda.platform.config import plain

    default = plain(configured(MergeConfig, {}, [], "merge"))
    said = {text.partition("=")[0].strip() for text in settings}
    return {
        key: default[key]
        for key in ("synthesizer", "optimizer")
        if not said & {key, f"{key}.name", f"{key}.target"}
    }


def _check_student(block: Mapping[str, Any], given: list[Classifier]) -> None:
    """Raise UserError unless the student answers for the classes of both, which a model that is
    made without being told their number may not."""
    from dataclasses import replace

    import torch

    from fedzda.base import UserError
    from fedzda.clients.classifiers import build_model

    image = given[0].image
    classes = sum(each.image.num_classes for each in given)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = build_model(block, replace(image, num_classes=classes)).eval()
        found = tuple(model(torch.zeros(1, *image.shape)).shape)
    if found != (1, classes):
        raise UserError(
            f"the student {type(model).__name__} gives answers of shape {found} for one image, and "
            f"the two models have {classes} classes together. Name one with so many outputs as "
            "--student, for example '{target: module:Class, args: {…}}', and init=scratch if its "
            "last layer differs in more than their number."
        )


def _tell_shared(first: str, second: str) -> None:
    """Say which classes two run folders have in common; of files of weights nobody knows."""
    from fedzda.clients.classifiers import federation_of
    from fedzda.platform.report.units import names

    folders = [Path(first), Path(second)]
    if not all(folder.is_dir() for folder in folders):
        return
    one, two = (federation_of(folder).class_names for folder in folders)
    if shared := names([name for name in one if name in two], limit=6):
        typer.echo(
            f"note: both have the classes {shared}; the result has each of them twice, and tells "
            "images of the one from images of the other.",
            err=True,
        )


def _new_file(out: str | None, seed: int) -> Path:
    """The file to write. Raises UserError if it exists or has another ending."""
    from fedzda.base import UserError

    if out is None:
        return Path("merged") / f"{now()}_s{seed}.safetensors"
    path = Path(out).expanduser()
    if path.suffix != ".safetensors":
        raise UserError(f"--out must end in .safetensors (got '{out}').")
    if path.exists():
        raise UserError(f"--out is '{out}', which exists already. Name a new file.")
    return path


def _tested(
    given: list[Classifier], made: Merged, known: list[Federation | None]
) -> list[dict[str, float] | None]:
    """Accuracy of each model on its own test data, and of the result, which has all classes."""
    found: list[dict[str, float] | None] = []
    start = 0
    for source, federation in zip(given, known, strict=True):
        classes = source.image.num_classes
        if federation is None or not len(federation.test["label"]):
            found.append(None)
        else:
            before = _accuracy(source.model, source.image, federation, 0)
            after = _accuracy(made.model, made.image, federation, start)
            found.append(
                {"before": before, "merged": after, "images": len(federation.test["label"])}
            )
        start += classes
    return found


def _accuracy(model: Any, image: ImageSpec, federation: Federation, first: int) -> float:
    """Share of the test images whose class, counted from ``first``, has the largest logit."""
    import torch

    from fedzda.platform.averaging import as_tensor

    labels = as_tensor(federation.test["label"]) + first
    hits = 0
    with torch.no_grad():
        for begin in range(0, len(labels), _BATCH):
            pixels = as_tensor(federation.test["image"][begin : begin + _BATCH])
            found = model(image.normalize(pixels.float() / 255)).argmax(dim=1)
            hits += int((found == labels[begin : begin + _BATCH]).sum())
    return hits / len(labels)


def _write(path: Path, made: Merged, record: dict[str, Any]) -> None:
    """The classifier, and beside it how it was made."""
    from fedzda.clients.classifiers import save_classifier
    from fedzda.platform.files import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = {"merged": json.dumps(record["config"])}
    save_classifier(made.model, path, made.block, made.image, recipe)
    write_json(path.with_suffix(".json"), record)


def _print(record: dict[str, Any], given: list[Classifier], path: Path) -> None:
    from fedzda.platform.cli.text import human_time, table

    agreements = [f"{record['fit'][side]['agreement']:.1%}" for side in ("first", "second")]
    typer.echo(
        f"{human_time(record['seconds'])}; the models agree with {' and '.join(agreements)} of the "
        "labels of their generators"
    )
    rows = [["", "classes", "alone", "merged"]]
    start = 0
    for side, source, tested in zip(("first", "second"), given, record["tested"], strict=True):
        end = start + source.image.num_classes
        if tested is not None:
            shown = [f"{tested[key]:.1%}" for key in ("before", "merged")]
            rows.append([side, f"{start} to {end - 1}", *shown])
        start = end
    if len(rows) > 1:
        typer.echo(
            "accuracy on real test images, among its own classes alone and among all merged:"
        )
        typer.echo(table(rows, indent=2))
    typer.echo(f"written: {path} and {path.with_suffix('.json').name}")
