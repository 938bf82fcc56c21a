"""``fedzda synthesize``: labelled images from a trained classifier, without data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.clients.commands.arguments import (
    Checkpoint,
    Classes,
    Mean,
    Model,
    Out,
    Seed,
    Shape,
    Std,
    classifier_of,
    described,
    fitted,
    new_folder,
    real_data,
    synthesizer_of,
)

if TYPE_CHECKING:
    import torch

    from fedzda.base import ImageSpec, Synthesizer
    from fedzda.clients.classifiers import Classifier

_JUDGED = 1000
"""Most images that the figures are measured on: all pairs are compared."""
_COLUMNS = 10


def synthesize(
    checkpoint: Checkpoint,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Of the synthesizer, e.g. steps=500."),
    ] = None,
    synthesizer: Annotated[
        str, typer.Option(metavar="NAME", help="See: fedzda list synthesizers.")
    ] = "zs-cgan",
    model: Model = None,
    shape: Shape = None,
    classes: Classes = None,
    mean: Mean = None,
    std: Std = None,
    count: Annotated[int, typer.Option(min=1, help="Images to make, all classes alike.")] = 1000,
    out: Out = None,
    seed: Seed = 0,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Real images to compare with: a data set's name or block."
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Another classifier, which judges the images."),
    ] = None,
) -> None:
    """Make labelled images from a trained classifier.

    Writes the generator, samples, a picture of them and figures of their quality.
    """
    made_of = classifier_of(checkpoint, model, shape, classes, mean, std)
    judging = made_of if judge is None else _judge(judge, made_of.image)
    real = _real(checkpoint, data, made_of.image)
    maker = synthesizer_of(synthesizer, settings or [])
    folder = new_folder(out, "synthesis", f"{described(maker)['name']}_s{seed}")
    started = time.perf_counter()
    figures, images, labels = fitted(maker, made_of, count, seed)
    seconds = time.perf_counter() - started
    rows = _judged(judging, images, labels, real, made_of.image, seed)
    record = {
        "checkpoint": checkpoint,
        "classifier": made_of.fingerprint,
        "synthesizer": described(maker),
        "seed": seed,
        "seconds": seconds,
        "fit": figures,
        "judge": judge or "the inverted classifier itself",
        "quality": rows,
        "warnings": _warnings(made_of, images, labels),
    }
    _write(folder, maker, made_of, images, labels, record)
    _print(record, folder)


def _judge(path: str, image: ImageSpec) -> Classifier:
    """The judging classifier. Raises UserError if it is for other images."""
    from fedzda.base import UserError
    from fedzda.clients.classifiers import load_classifier

    found = load_classifier(Path(path))
    mine, wanted = (found.image.shape, found.image.num_classes), (image.shape, image.num_classes)
    if mine != wanted:
        raise UserError(
            f"--judge is for images of shape {mine[0]} and {mine[1]} classes, the classifier for "
            f"{wanted[0]} and {wanted[1]}. Name one for the same images."
        )
    return found


def _real(
    checkpoint: str, data: str | None, image: ImageSpec
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Real test images and labels: of ``--data``, or of the run that was named; None without."""
    import torch

    from fedzda.base import UserError, numpy_rng

    federation = real_data(checkpoint, data, "--data", image)
    if federation is None:
        return None
    if len(federation.class_names) != image.num_classes:
        raise UserError(
            f"--data has {len(federation.class_names)} classes, the classifier "
            f"{image.num_classes}. Name the data set it was trained on."
        )
    pixels, labels = federation.test["image"], federation.test["label"]
    rows = numpy_rng(0, "synthesize-real").permutation(len(labels))[: 2 * _JUDGED]
    return torch.from_numpy(pixels[rows]).float() / 255, torch.from_numpy(labels[rows])


def _judged(
    judge: Classifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    real: tuple[torch.Tensor, torch.Tensor] | None,
    image: ImageSpec,
    seed: int,
) -> list[dict[str, float | str]]:
    """Figures of the made images, of noise, and of real images where there are any."""
    import torch

    from fedzda.base import torch_rng
    from fedzda.generators.quality import compare_quality

    size = min(len(images), _JUDGED)
    reference = None
    sets = {"synthetic": (images[:size], labels[:size])}
    if real is not None:
        size = min(size, len(real[1]) // 2)
        sets = {
            "synthetic": (images[:size], labels[:size]),
            "real": (real[0][:size], real[1][:size]),
        }
        reference = real[0][size : 2 * size]
    noise = torch.rand(size, *image.shape, generator=torch_rng(seed, "synthesize-noise"))
    sets["noise"] = (noise, labels[:size])
    return compare_quality(judge.model, sets, judge.image, reference)


def _warnings(made_of: Classifier, images: torch.Tensor, labels: torch.Tensor) -> list[str]:
    from fedzda.generators.collapse import collapse_figures, collapse_warnings

    few, their = images[:_JUDGED], labels[:_JUDGED]
    return collapse_warnings(collapse_figures(made_of.model, few, their, made_of.image))


def _write(
    folder: Path,
    maker: Synthesizer,
    made_of: Classifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    record: dict[str, Any],
) -> None:
    from fedzda.generators.files import image_json, write_tensors
    from fedzda.generators.sheet import save_sheet
    from fedzda.platform.files import write_json

    folder.mkdir(parents=True)
    maker.save(folder / "generator.safetensors", made_of.fingerprint)
    save_sheet(images, labels, folder / "samples.png", _COLUMNS)
    write_tensors(
        {"images": images, "labels": labels},
        folder / "samples.safetensors",
        {"classifier": made_of.fingerprint, "image": image_json(made_of.image)},
    )
    write_json(folder / "quality.json", record)


def _print(record: dict[str, Any], folder: Path) -> None:
    from fedzda.platform.cli.text import human_time, table

    fit = record["fit"]
    typer.echo(
        f"{human_time(record['seconds'])}; the inverted classifier agrees with "
        f"{fit['agreement']:.1%} of the labels, distance to its BatchNorm statistics "
        f"{fit['bn_loss']:.3g}"
    )
    rows = record["quality"]
    names = [name for name in rows[0] if name not in ("set", "images")]
    lines = [["", *(name.replace("_", " ") for name in names)]]
    lines += [[str(row["set"]), *(f"{row[name]:.3f}" for name in names)] for row in rows]
    typer.echo(f"judged by {record['judge']}, {rows[0]['images']} images of each kind:")
    typer.echo(table(lines, indent=2))
    for sentence in record["warnings"]:
        typer.echo(f"warning: {sentence}", err=True)
    typer.echo(f"written: {folder}")
