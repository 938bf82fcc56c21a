"""``fedzda probe``: do the synthetic images of a run repeat what its clients hold?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.clients.commands.arguments import Seed, saved_synthesizer

if TYPE_CHECKING:
    import numpy as np
    import torch

    from fedzda.clients.runtime import ClientRuntime

_MOST = 10_000
"""Most held-out images that are compared with."""
_FRESH = 2_000
_PAIRS = 10


def probe(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run folder.")],
    images: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Images from 'fedzda synthesize' (samples.safetensors) instead of the run's own.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=10, help="Images to make.")] = 1000,
    steps: Annotated[
        int, typer.Option(min=1, help="Gradient steps of the classifier that looks at them.")
    ] = 600,
    seed: Seed = 0,
) -> None:
    """Look for the clients' own images among a run's synthetic ones.

    Distances are taken in the features of a classifier that is trained here on the global test set,
    which no client holds. Writes artifacts/probe.json and renews the report.
    """
    from fedzda.platform.files import write_json
    from fedzda.platform.report.build import build_report

    folder = Path(run)
    runtime = _runtime(folder)
    made = _from_file(images, runtime) if images else _made(folder, runtime, count, seed)
    found = look(runtime, made, steps, seed, folder / "artifacts")
    write_json(folder / "artifacts" / "probe.json", found)
    _print(found)
    if (folder / "report.html").exists():
        typer.echo(f"renewed: {build_report(folder)}")


def _runtime(folder: Path) -> ClientRuntime:
    from fedzda.clients.classifiers import federation_of
    from fedzda.clients.runtime import ClientRuntime
    from fedzda.platform.config import plain
    from fedzda.platform.runs import load

    config = load(folder).config
    return ClientRuntime(plain(config), str(federation_of(folder).folder), "cpu")


def _made(folder: Path, runtime: ClientRuntime, count: int, seed: int) -> torch.Tensor:
    """Images as the run's clients (or its server) got them, normalised ``(count, C, H, W)``."""
    import torch

    from fedzda.base import UserError, torch_rng
    from fedzda.generators.files import read_tensors
    from fedzda.platform.config import plain
    from fedzda.platform.parts import build_synthesizer

    strategy: Any = runtime.config.strategy
    name, rng = strategy.name, torch_rng(seed, "probe-sample")
    if name == "placebo":
        return torch.randn(count, *runtime.image.shape, generator=rng)
    file = folder / "artifacts" / "generator.safetensors"
    if not file.exists():
        raise UserError(
            f"run '{folder}' (strategy {name}) kept no generator of images: make some with 'fedzda "
            "synthesize RUN' and name the file with --images."
        )
    # The generator of the clients' half is the one that is kept where there are two.
    has_client_half = hasattr(strategy, "fill")
    own = None if has_client_half else getattr(strategy, "server_synthesizer", None)
    block = own or getattr(strategy, "synthesizer", None)
    if block is None:  # a generator without a block of its own: the file says what it is
        maker = saved_synthesizer(file, runtime.image)
    else:
        maker = build_synthesizer(plain(block))
        maker.load_state(read_tensors(file)[0], runtime.image)
    labels = torch.arange(runtime.image.num_classes).repeat(-(-count // runtime.image.num_classes))
    return runtime.image.normalize(maker.sample(labels[:count], rng).detach())


def _from_file(path: str, runtime: ClientRuntime) -> torch.Tensor:
    from fedzda.base import UserError
    from fedzda.generators.files import read_tensors

    tensors = read_tensors(Path(path))[0]
    images = tensors.get("images")
    if images is None or tuple(images.shape[1:]) != runtime.image.shape:
        shape = None if images is None else tuple(images.shape[1:])
        raise UserError(
            f"--images is '{path}', whose images have shape {shape}: the run's have "
            f"{runtime.image.shape}. Name a samples.safetensors of 'fedzda synthesize'."
        )
    return runtime.image.normalize(images.float())


def look(
    runtime: ClientRuntime, made: torch.Tensor, steps: int, seed: int, folder: Path
) -> dict[str, Any]:
    """The probe of some images against the data of a run.

    Args:
        runtime: Of the run.
        made: ``(M, C, H, W)`` normalised.
        steps: Gradient steps of the judging classifier.
        seed: Seed of everything random.
        folder: Gets ``probe.png``, the closest pairs.

    Returns:
        ``sets`` as :func:`fedzda.platform.privacy.proximity.probe` gives them, and who judged.

    Raises:
        UserError: Clients hold no test images, or there is no global test set.
    """
    import numpy as np
    import torch

    from fedzda.base import UserError, numpy_rng, torch_rng
    from fedzda.platform.privacy.proximity import probe as compare

    federation = runtime.federation
    rest = numpy_rng(seed, "probe-held-out").permutation(federation.pool("test"))
    if len(rest) < 20 or len(federation.test["label"]) < 20:
        raise UserError(
            f"the clients hold {len(rest)} test images and the global test set has "
            f"{len(federation.test['label'])}: the probe needs 20 of each. Raise "
            "data.test_fraction or data.max_samples."
        )
    fresh_rows = rest[: min(_FRESH, len(rest) // 2)]
    held_rows = rest[len(fresh_rows) :][:_MOST]
    own_rows = np.array(federation.pool("train"))
    judge = _judge(runtime, steps, seed)
    own, held_out, fresh = (
        _features(runtime, judge, rows) for rows in (own_rows, held_rows, fresh_rows)
    )
    noise = torch.randn(len(made), *runtime.image.shape, generator=torch_rng(seed, "probe-noise"))
    features = {"synthetic": _in_batches(judge, made), "noise": _in_batches(judge, noise)}
    rows = compare(features, own, held_out, fresh)
    _save_pairs(runtime, made, features["synthetic"], own, own_rows, folder / "probe.png")
    return {
        "strategy": runtime.config.strategy.name,
        "own": len(own),
        "held_out": len(held_out),
        "judge": {
            "trained_on": len(federation.test["label"]),
            "steps": steps,
            "accuracy": _accuracy(runtime, judge, held_rows),
        },
        "sets": rows,
    }


def _judge(runtime: ClientRuntime, steps: int, seed: int) -> torch.nn.Module:
    """The run's architecture, trained on the global test set alone."""
    import numpy as np

    from fedzda.base import numpy_rng
    from fedzda.clients.hooks.base import LocalRun
    from fedzda.clients.training import train
    from fedzda.platform.config import LocalConfig, SGDConfig
    from fedzda.platform.engines.calls import Call
    from fedzda.platform.records import Content

    table = runtime.federation.test
    data = runtime.batch(np.arange(len(table["label"])), table)
    model = runtime.build_model()
    config = LocalConfig(steps=steps, batch_size=32, optimizer=SGDConfig(lr=0.02, momentum=0.9))
    call = Call(0, "train", 1, Content(), Content())
    train(LocalRun(runtime, call, model, data), config, [], numpy_rng(seed, "probe-judge"))
    return model.eval()


def _features(runtime: ClientRuntime, judge: torch.nn.Module, rows: np.ndarray) -> torch.Tensor:
    import torch

    cuts = range(0, len(rows), _BATCH)
    parts = [_in_batches(judge, runtime.batch(rows[i : i + _BATCH])["image"]) for i in cuts]
    return torch.cat(parts)


_BATCH = 256


def _in_batches(judge: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Last features ``(N, D)`` of normalised images; logits for a model without linear layers."""
    import torch

    from fedzda.generators.features import last_features

    found = []
    with torch.no_grad(), last_features(judge) as seen:
        for part in torch.split(images, _BATCH):
            logits = judge(part)
            found.append(logits if seen.value is None else seen.value.flatten(1))
    return torch.cat(found)


def _accuracy(runtime: ClientRuntime, judge: torch.nn.Module, rows: np.ndarray) -> float:
    from fedzda.clients.evaluation import evaluate_segments

    return float(evaluate_segments(runtime, judge, [rows], _BATCH)[0][0]["accuracy"])


def _save_pairs(
    runtime: ClientRuntime,
    made: torch.Tensor,
    features: torch.Tensor,
    own: torch.Tensor,
    own_rows: np.ndarray,
    path: Path,
) -> None:
    """The made images that come closest to a client's, above the client's images."""
    import numpy as np
    import torch

    from fedzda.generators.sheet import save_sheet
    from fedzda.platform.privacy.proximity import nearest

    found = nearest(features, own)
    # of made images with one neighbour the closest only, so that a collapsed generator shows more
    order = np.argsort(found.distance, kind="stable")
    first = np.unique(found.index[order], return_index=True)[1]
    chosen = order[np.sort(first)][:_PAIRS]
    theirs = runtime.batch(own_rows[found.index[chosen]])["image"]
    both = torch.cat([made[torch.from_numpy(chosen)], theirs])
    std = both.new_tensor(runtime.image.std).view(1, -1, 1, 1)
    mean = both.new_tensor(runtime.image.mean).view(1, -1, 1, 1)
    rows = torch.arange(2).repeat_interleave(len(chosen))
    save_sheet(both * std + mean, rows, path, _PAIRS)


def _print(found: dict[str, Any]) -> None:
    from fedzda.platform.cli.text import table

    judge = found["judge"]
    typer.echo(
        f"{found['own']:,} training images of the clients against {found['held_out']:,} that "
        f"nobody trained on, in the eyes of a classifier with {judge['accuracy']:.1%} accuracy:"
    )
    lines = [("", "distance", "to the floor's", "too close", "advantage", "of the close ones")]
    for row in found["sets"]:
        close, relative = row["advantage_close"], row["relative"]
        lines.append(
            (
                f"{row['set']} ({row['images']})",
                f"{row['distance']:.3g}",
                "–" if relative is None else f"{relative:.2f}",
                f"{row['too_close']:.1%}",
                f"{row['advantage']:+.2f}",
                "–" if close is None else f"{close:+.2f} ({row['close']})",
            )
        )
    typer.echo(table(lines, indent=2))
    synthetic = found["sets"][0]
    typer.echo(
        "FLAGGED: the synthetic images repeat what the clients hold."
        if synthetic["flagged"]
        else "Not flagged: the synthetic images are no nearer to the clients' than to others."
    )
