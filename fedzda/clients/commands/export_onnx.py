"""``fedzda export onnx``: the trained global model of a run as a float32 ONNX file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch
    from torch import nn

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

    The file is then run in ONNX Runtime on images of the run, if that is installed, and its output
    compared with the model's. For integers see fedzda quantize.
    """
    from fedzda.base import UserError
    from fedzda.compression.onnx_export import export_float
    from fedzda.platform.data.dealing import dealt, image_of
    from fedzda.platform.runs import load

    if out.exists():
        raise UserError(f"'{out}' exists already and is left as it is. Choose another --out.")
    read = load(run)
    model = read.model()
    federation = dealt(read.config, read.source)
    image = image_of(federation)
    size = export_float(model, image, out)
    typer.echo(f"wrote {out}: {size:,} bytes, float32, any number of images at once")
    shape = ", ".join(map(str, image.shape))
    typer.echo(
        f"it takes images (N, {shape}) as (pixel - mean) / std, pixels in [0, 1], per channel "
        f"mean {_figures(image.mean)}, std {_figures(image.std)}"
    )
    if importlib.util.find_spec("onnxruntime") is None:
        typer.echo("not compared: pip install 'fedzda[export]' brings ONNX Runtime")
        return
    typer.echo(f"ONNX Runtime differs by at most {compared(model, out, federation):.1e}")


def compared(model: nn.Module, file: Path, federation: Federation) -> float:
    """Largest difference between a model and its file on some images of the run.

    Args:
        model: In eval mode.
        file: What was exported.
        federation: The data of the run.

    Raises:
        RunError: They differ by more than rounding; the file is then removed.
    """
    import numpy as np
    import onnxruntime
    import torch

    from fedzda.base import RunError

    pixels = _some_images(federation)
    with torch.no_grad():
        expected = model(pixels).numpy()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: pixels.numpy()})
    difference = float(np.abs(found - expected).max())
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        file.unlink()
        raise RunError(
            f"the exported file computes something else than the model (by {difference:.2g} on "
            "images of the run), and was removed."
        )
    return difference


def _some_images(federation: Federation) -> torch.Tensor:
    """Normalised images of the training pool."""
    import numpy as np
    import torch

    from fedzda.platform.data.dealing import image_of

    pixels = federation.train["image"][:_TRIED].astype(np.float32) / 255.0
    return image_of(federation).normalize(torch.from_numpy(pixels))


def _figures(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.5g}" for value in values)
