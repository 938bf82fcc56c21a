"""``fedzda export onnx``: the trained global model of a run as a float32 ONNX file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fedzda.base import ImageSpec
    from fedzda.clients.tasks.base import Task
    from fedzda.platform.data.federation import Federation

_TRIED = 16
"""Images that the file is compared on."""
_TOLERANCE = 1e-4
"""Largest difference of an output, as a share of the largest output (our choice; BatchNorm that is
folded into weights alone makes about 1e-6)."""


def export_onnx(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write; must not be there yet.")
    ] = Path("model.onnx"),
) -> None:
    """Write the trained global model of a run as float32 ONNX.

    The file takes what the run's task gives a model in a test. It is then run in ONNX Runtime on
    images of the run, if that is installed, and its output compared with the model's. For integers
    see fedzda quantize.
    """
    from fedzda.base import UserError
    from fedzda.platform.data.dealing import dealt, image_of
    from fedzda.platform.parts import build_task
    from fedzda.platform.runs import load

    if out.exists():
        raise UserError(f"'{out}' exists already and is left as it is. Choose another --out.")
    read = load(run)
    model = read.model()
    federation = dealt(read.config, read.source)
    image = image_of(federation)
    task = build_task(read.config, image)
    given = task.given(image)
    size = write(model, given, out)
    typer.echo(f"wrote {out}: {size:,} bytes, float32, any number of images at once")
    shape = ", ".join(map(str, given.shape))
    typer.echo(
        f"it takes images (N, {shape}) as (pixel - mean) / std, pixels in [0, 1], per channel "
        f"mean {_figures(given.mean)}, std {_figures(given.std)}"
    )
    if given.shape[0] > image.shape[0]:
        typer.echo(
            f"the first {image.shape[0]} channels are the image's, the others what the task gives "
            "with it"
        )
    if importlib.util.find_spec("onnxruntime") is None:
        typer.echo("not compared: pip install 'fedzda[export]' brings ONNX Runtime")
        return
    difference = compared(model, out, some_images(task, federation))
    typer.echo(f"ONNX Runtime differs by at most {difference:.1e}")


def write(model: nn.Module, given: ImageSpec, out: Path) -> int:
    """Write a model as float32 ONNX and return the bytes.

    Args:
        model: In eval mode, on the CPU.
        given: What it takes.
        out: The file.

    Raises:
        UserError: The model has no ONNX form.
    """
    from fedzda.base import UserError
    from fedzda.compression.onnx_export import export_float
    from fedzda.vision.gsanet.onnx_export import export_onnx as export_traced
    from fedzda.vision.restoration.networks.base import RestorationModel

    try:
        return export_float(model, given, out)
    except UserError:
        # Our restoration networks branch on the size of images alone, which a file fixes: what one
        # image goes through holds for all. Of other models that is not known.
        if not isinstance(model, RestorationModel):
            raise
    out.parent.mkdir(parents=True, exist_ok=True)
    return export_traced(model, given, out)


def compared(model: nn.Module, file: Path, images_NCHW: torch.Tensor) -> float:
    """Largest difference between a model and its file.

    Args:
        model: In eval mode.
        file: What was exported.
        images_NCHW: What both are given, as :func:`some_images` makes it.

    Raises:
        RunError: They differ by more than rounding; the file is then removed.
    """
    import numpy as np
    import onnxruntime
    import torch

    from fedzda.base import RunError

    with torch.no_grad():
        expected = model(images_NCHW).numpy()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images_NCHW.numpy()})
    difference = float(np.abs(found - expected).max())
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        file.unlink()
        raise RunError(
            f"the exported file computes something else than the model (by {difference:.2g} on "
            "images of the run), and was removed."
        )
    return difference


def some_images(task: Task, federation: Federation) -> torch.Tensor:
    """What a model takes in a test ``(N, C, H, W)``, of images of the training pool."""
    import numpy as np
    import torch

    from fedzda.platform.data.dealing import image_of
    from fedzda.platform.data.federation import CLIENT

    held = {**federation.train, CLIENT: federation.owner}
    batch = {name: torch.from_numpy(np.array(held[name][:_TRIED])) for name in task.columns}
    batch["image"] = image_of(federation).normalize(batch["image"].float() / 255.0)
    return task.shown(batch)


def _figures(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.5g}" for value in values)
