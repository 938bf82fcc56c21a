"""``fedzda hypercon``: a video through an image model, made consistent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.clients.commands.arguments import Seed, configured

if TYPE_CHECKING:
    from fedzda.clients.commands.hypercon_run import Names
    from fedzda.vision.hypercon.config import HyperConConfig
    from fedzda.vision.hypercon.translate import ImageModel
    from fedzda.vision.hypercon.video import Clip


def hypercon(
    video: Annotated[
        str, typer.Argument(metavar="VIDEO", help="A video file, or a folder of frames.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Of the method, e.g. half_window=1."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="An image model's name, or module:Name.")
    ] = "style",
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="Weights of the model (.safetensors).")
    ] = None,
    style: Annotated[
        str | None, typer.Option(metavar="FILE", help="Picture that a style is trained on.")
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(metavar="VIDEO", help="Masks as video or folder; bright pixels are holes."),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="New video, or folder if it has no suffix.")
    ] = "hypercon.mp4",
    seed: Seed = 0,
    figures: Annotated[
        bool, typer.Option(help="Measure consistency and fidelity; costs two flows per frame.")
    ] = True,
) -> None:
    """Make an image model consistent on video, without training it on video.

    Writes the result, a video side by side, a strip picture and figures.
    """
    _require_extra()
    from fedzda.clients.commands.hypercon_run import new_names, run
    from fedzda.vision.hypercon.video import check_sides

    config = _config(settings or [])
    clip, holes = _clips(video, masks)
    names = new_names(Path(out))
    height, width = next(iter(clip)).shape[:2]
    check_sides(names.result, config.scale * height, config.scale * width)
    image_model = _model(model, weights, style, masks is not None, names, seed)
    record = {"video": video, "model": model, "weights": weights, "masks": masks, "seed": seed}
    run(clip, holes, image_model, config, names, record, figures)


def _require_extra() -> None:
    """Raises UserError if OpenCV or scikit-image is missing."""
    from importlib.util import find_spec

    from fedzda.base import UserError

    missing = [name for name in ("cv2", "skimage") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"fedzda hypercon needs {' and '.join(missing)}, which the extra 'vision' brings: "
            "pip install 'fedzda[vision]'."
        )


def _config(settings: list[str]) -> HyperConConfig:
    """The configuration. Raises UserError with all that is wrong."""
    from fedzda.vision.hypercon.config import HyperConConfig

    found = configured(HyperConConfig, {}, settings, "hypercon")
    assert isinstance(found, HyperConConfig)
    return found


def _clips(video: str, masks: str | None) -> tuple[Clip, Clip | None]:
    """The clip and its masks. Raises UserError if they cannot be read, or there is one frame."""
    from itertools import islice

    from fedzda.base import UserError
    from fedzda.vision.hypercon.video import read_clip

    clip = read_clip(Path(video))
    frames = len(list(islice(clip, 2)))
    if frames < 2:
        raise UserError(
            f"'{video}' has {frames} frame{'' if frames == 1 else 's'} that can be read: there is "
            "nothing to be consistent with. Give a clip of at least 2 frames."
        )
    return clip, None if masks is None else read_clip(Path(masks))


# ---------------------------------------------------------------------------------------------
# The image model


def _model(
    name: str, weights: str | None, style: str | None, masked: bool, names: Names, seed: int
) -> ImageModel:
    """The image model that the options name; trains it where no weights are given."""
    from fedzda.base import UserError
    from fedzda.vision.hypercon.image_models.registry import BUILT_IN, weightless

    if style is not None and (name != "style" or weights is not None):
        given = f"--model is '{name}'" if name != "style" else "--weights are given"
        raise UserError(
            f"--style is the picture that --model style is trained on, and {given}. Leave --style "
            "out."
        )
    if ":" in name:
        return _stranger(name, weights)
    ready = weightless(name)
    if BUILT_IN[name].masked != masked:
        wants = "fills holes and needs --masks" if not masked else "does not fill holes"
        fitting = [key for key, value in BUILT_IN.items() if value.masked == masked]
        raise UserError(
            f"--model is '{name}', which {wants}. Models for this clip: {', '.join(fitting)}."
        )
    if ready is not None:
        if weights is not None:
            raise UserError(f"--model '{name}' has no weights. Leave out --weights.")
        return ready
    return _network(name, weights, style, names, seed)


def _network(
    name: str, weights: str | None, style: str | None, names: Names, seed: int
) -> ImageModel:
    """A built-in network, with weights from a file or after a short training."""
    from fedzda.vision.hypercon.image_models import registry
    from fedzda.vision.hypercon.image_models.adapters import from_network
    from fedzda.vision.hypercon.video import read_picture

    if weights is not None:
        return from_network(registry.load_network(name, Path(weights)))
    picture = None if style is None else read_picture(Path(style))
    typer.echo(
        f"no --weights: training '{name}' on photographs that ship inside scikit-image and "
        "scikit-learn, about two minutes on a CPU; a sketch, not a good model."
    )
    network, config = registry.trained(name, seed, picture)
    path = names.result.with_suffix("")
    path = path.with_name(f"{path.name}-{name}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    registry.save_network(path, network, config)
    typer.echo(f"weights: {path} (use them again with --weights)")
    return from_network(network)


def _stranger(target: str, weights: str | None) -> ImageModel:
    """A caller's class of network, function that makes one, or image model."""
    import inspect

    from torch import nn

    from fedzda.base import UserError
    from fedzda.platform.plugins import add_plugin_folder, import_target
    from fedzda.vision.hypercon.image_models.adapters import from_network

    add_plugin_folder(Path.cwd())
    found = import_target(target)
    if inspect.isclass(found):
        found = found()
    if isinstance(found, nn.Module):
        if weights is not None:
            _load(found, weights, target)
        return from_network(found)
    if not callable(found) or weights is not None:
        what = "cannot be called" if not callable(found) else "is no network and takes no --weights"
        raise UserError(
            f"--model '{target}' {what}. Name a torch.nn.Module class, or a function from a frame "
            "(height, width, 3) in [0, 1] to such a frame."
        )
    model: Callable[..., Any] = found
    return model


def _load(network: Any, weights: str, target: str) -> None:
    from fedzda.base import UserError
    from fedzda.generators.files import read_tensors

    tensors, _ = read_tensors(Path(weights))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"the weights in '{weights}' do not fit '{target}' ({reason}). Name those of this "
            "model."
        ) from error
