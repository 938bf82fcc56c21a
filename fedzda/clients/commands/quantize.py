"""``fedzda quantize``: a trained classifier with fewer bits, with or without data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
    configured,
    described,
    fitted,
    new_folder,
    real_data,
    sampled,
    saved_synthesizer,
    synthesizer_of,
)

if TYPE_CHECKING:
    import torch

    from fedzda.base import ImageSpec, Synthesizer
    from fedzda.clients.classifiers import Classifier
    from fedzda.compression.config import QuantizeConfig
    from fedzda.compression.images import Images
    from fedzda.compression.quantized import QuantizedModel
    from fedzda.platform.data.federation import Federation

_COMPARED = 512
"""Most images that errors of layers are measured on."""
_REHEARSED = 4


class Source(NamedTuple):
    """Images that the quantized model is made with."""

    images: Images
    synthesizer: Synthesizer | None
    """What made them; None for real images and noise."""
    figures: dict[str, float]
    """Of the fit; empty for real images and noise."""
    warnings: list[str]


def quantize(
    checkpoint: Checkpoint,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Of the quantization, e.g. kind=jacob."),
    ] = None,
    weights: Annotated[int, typer.Option(metavar="BITS", help="Of the weights, 2 to 8.")] = 8,
    activations: Annotated[
        int, typer.Option(metavar="BITS", help="Of what flows between layers, 2 to 8.")
    ] = 8,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="real, noise, a synthesizer's name or block, or a saved generator (.safetensors).",
        ),
    ] = "zs-cgan",
    stage: Annotated[
        str, typer.Option(metavar="STAGE", help="ptq, adaround (learned rounding) or qat.")
    ] = "ptq",
    model: Model = None,
    shape: Shape = None,
    classes: Classes = None,
    mean: Mean = None,
    std: Std = None,
    count: Annotated[int, typer.Option(min=2, help="Images to make or to take.")] = 2000,
    test: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Data to test on: a data set's name or block."),
    ] = None,
    out: Out = None,
    seed: Seed = 0,
    export: Annotated[bool, typer.Option(help="Write ONNX files, which need integers.")] = True,
) -> None:
    """Quantize a trained classifier, without data unless --data is real.

    Writes an integer ONNX model and a report: accuracy, size, error of every layer.
    """
    config = _config(weights, activations, stage, settings or [])
    made_of = classifier_of(checkpoint, model, shape, classes, mean, std)
    known = real_data(checkpoint, test, "--test", made_of.image)
    tested = _tested(known, made_of.image)
    maker = _maker(data, known, made_of.image)
    name = data if maker is None else described(maker)["name"]
    folder = new_folder(out, "quantized", f"w{weights}a{activations}_{name}_s{seed}")
    _rehearse(made_of, config, export)
    started = time.perf_counter()
    source = _source(data, maker, made_of, known, count, seed)
    done = _quantized(made_of, config, source, seed)
    record = {
        "checkpoint": checkpoint,
        "classifier": made_of.fingerprint,
        "config": config.model_dump(mode="json"),
        "data": data,
        "count": len(source.images.pixels),
        "synthesizer": None if maker is None else described(maker),
        "fit": source.figures,
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "warnings": source.warnings,
    }
    _write(folder, made_of, done, source, tested, record, export)


def _config(weights: int, activations: int, stage: str, settings: list[str]) -> QuantizeConfig:
    """The configuration. Raises UserError with all that is wrong."""
    from fedzda.base import UserError
    from fedzda.compression.config import MAX_BITS, MIN_BITS, QuantizeConfig

    wrong = [
        f"{option} must be from {MIN_BITS} to {MAX_BITS} bits (got {bits}). Below {MIN_BITS} a "
        f"number has no zero and a sign, above {MAX_BITS} integer kernels end: choose from these."
        for option, bits in (("--weights", weights), ("--activations", activations))
        if not MIN_BITS <= bits <= MAX_BITS
    ]
    if wrong:
        raise UserError(*wrong)
    block = {"stage": stage, "weights": {"bits": weights}, "activations": {"bits": activations}}
    config = configured(QuantizeConfig, block, settings, "quantize")
    assert isinstance(config, QuantizeConfig)
    return config


def _maker(data: str, known: Federation | None, image: ImageSpec) -> Synthesizer | None:
    """The synthesizer that ``--data`` names; None for real images and noise."""
    from fedzda.base import UserError

    if _is_file(data):
        return saved_synthesizer(Path(data), image)
    if data == "noise":
        return None
    if data == "real":
        if known is None:
            raise UserError(
                "--data real needs the data: name a run folder as CHECKPOINT, or the data set "
                "with --test, for example --test digits."
            )
        return None
    return synthesizer_of(data, [])


def _is_file(data: str) -> bool:
    """Whether ``--data`` names a saved generator."""
    return data.endswith(".safetensors")


def _rehearse(made_of: Classifier, config: QuantizeConfig, export: bool) -> None:
    """Find what cannot be quantized or exported before anything takes long."""
    import tempfile

    import torch

    from fedzda.compression.quantized import quantize as quantize_model

    quick = config.model_copy(
        update={
            "stage": "ptq",
            "calibration": config.calibration.model_copy(update={"images": _REHEARSED}),
        }
    )
    pixels = torch.rand(_REHEARSED, *made_of.image.shape, generator=torch.Generator())
    done = quantize_model(made_of.model, made_of.image, quick, pixels, torch.Generator())
    if export:
        with tempfile.TemporaryDirectory() as folder:
            done.export(Path(folder, "model.onnx"))


def _source(
    data: str,
    maker: Synthesizer | None,
    made_of: Classifier,
    known: Federation | None,
    count: int,
    seed: int,
) -> Source:
    """The images of ``--data``."""
    import torch

    from fedzda.base import numpy_rng, torch_rng
    from fedzda.compression.images import Images
    from fedzda.generators.collapse import collapse_figures, collapse_warnings

    if maker is not None:
        figures: dict[str, float] = {}
        if _is_file(data):
            pixels, labels = sampled(maker, made_of.image.num_classes, count, seed)
        else:
            figures, pixels, labels = fitted(maker, made_of, count, seed)
        some, theirs = pixels[:_COMPARED], labels[:_COMPARED]
        spread = collapse_figures(made_of.model, some, theirs, made_of.image)
        return Source(Images(pixels, labels), maker, figures, collapse_warnings(spread))
    if data == "noise":
        rng = torch_rng(seed, "quantize-noise")
        pixels = torch.rand(count, *made_of.image.shape, generator=rng)
        return Source(Images(pixels), None, {}, [])
    assert known is not None
    columns = known.train["image"], known.train["label"]
    rows = numpy_rng(seed, "quantize-real").permutation(len(columns[1]))[:count]
    pixels, labels = torch.from_numpy(columns[0][rows]), torch.from_numpy(columns[1][rows])
    return Source(Images(pixels.float() / 255, labels), None, {}, [])


def _quantized(
    made_of: Classifier, config: QuantizeConfig, source: Source, seed: int
) -> QuantizedModel:
    from fedzda.base import torch_rng
    from fedzda.compression.quantized import quantize as quantize_model

    typer.echo(f"quantizing with {len(source.images.pixels)} images, stage {config.stage} …")
    rng = torch_rng(seed, "quantize")
    return quantize_model(made_of.model, made_of.image, config, source.images, rng)


def _write(
    folder: Path,
    made_of: Classifier,
    done: QuantizedModel,
    source: Source,
    tested: tuple[torch.Tensor, torch.Tensor] | None,
    record: dict[str, Any],
    export: bool,
) -> None:
    """All files, and the report on the terminal."""
    from fedzda.clients.commands.quantize_report import markdown, measured, text
    from fedzda.generators.sheet import save_sheet
    from fedzda.platform.files import write_json, write_text

    folder.mkdir(parents=True)
    files = {}
    if export:
        files = {"int8": folder / "model.onnx", "float32": folder / "float32.onnx"}
        done.export(files["int8"])
        done.export_float(files["float32"])
    if source.synthesizer is not None and source.images.labels is not None:
        source.synthesizer.save(folder / "generator.safetensors", made_of.fingerprint)
        save_sheet(source.images.pixels, source.images.labels, folder / "samples.png")
    record |= measured(done, tested, source.images.pixels[:_COMPARED], files)
    write_json(folder / "report.json", record)
    write_text(folder / "report.md", markdown(record))
    typer.echo(text(record))
    for sentence in record["warnings"]:
        typer.echo(f"warning: {sentence}", err=True)
    typer.echo(f"written: {folder}")


def _tested(known: Federation | None, image: ImageSpec) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Test images uint8 and labels, where they are known and as many classes."""
    import torch

    from fedzda.base import UserError

    if known is None:
        return None
    if len(known.class_names) != image.num_classes:
        raise UserError(
            f"--test has {len(known.class_names)} classes, the classifier {image.num_classes}. "
            "Name the data set it was trained on."
        )
    return torch.tensor(known.test["image"]), torch.tensor(known.test["label"])
