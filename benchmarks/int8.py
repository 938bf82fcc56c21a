"""Real int8: a W8A8 model in ONNX Runtime beside its own float32 export, in one process.

    python benchmarks/int8.py [--models resnet-20 mobilenet-v2] [--bits 8] [--json FILE]

Models are trained briefly on the digits that ship inside scikit-learn, enlarged to 32x32 and three
colours, calibrated on training images and exported. Accuracy is that of the held-out digits: float,
simulated, and in the runtime. Speed is at batch 1 with one thread: rounds of the two sessions
alternate; the median of each side and the ratio of the medians are reported, with the quartiles of
the ratios of single rounds, and the ratio of the fastest run of each side, which other work on the
machine disturbs least. The float32 file has BatchNorm folded, as the int8 one.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from sklearn.datasets import load_digits
from torch import nn

from fedzda.base import ImageSpec
from fedzda.compression import QuantizeConfig, QuantizedModel, quantize
from fedzda.compression.config import ActivationConfig, WeightConfig
from fedzda.platform import plugins

_IMAGE = ImageSpec((3, 32, 32), 10, (0.3, 0.3, 0.3), (0.35, 0.35, 0.35))
_HELD_OUT = 397
_RUNS_PER_ROUND = 20


def main() -> None:
    """Print the table; write it as JSON with ``--json``."""
    options = parse()
    torch.set_num_threads(1)
    rows = [measure(name, options) for name in options.models]
    print(
        f"{platform.processor() or platform.machine()}, onnxruntime {onnxruntime.__version__}, "
        f"W{options.bits}A{options.bits}, batch 1, one thread\n"
        "model          accuracy %: float  simulated  runtime  same class"
        "   ms: float   int8  ratio (quartiles)     fastest   MB: float   int8  ratio"
    )
    for row in rows:
        print(
            f"{row['model']:<14}{row['accuracy_float']:18.2f}{row['accuracy_simulated']:11.2f}"
            f"{row['accuracy_runtime']:9.2f}{row['same_class']:12.2f}{row['ms_float']:12.3f}"
            f"{row['ms_int8']:7.3f}{row['speed']:7.2f} ({row['speed_quartiles'][0]:.2f} to "
            f"{row['speed_quartiles'][1]:.2f}){row['speed_fastest']:11.2f}"
            f"{row['bytes_float'] / 1e6:12.2f}"
            f"{row['bytes_int8'] / 1e6:7.2f}{row['size']:7.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet-20", "mobilenet-v2"])
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4, help="of training on digits")
    parser.add_argument("--rounds", type=int, default=40, help="of alternating measurements")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def digits(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Shuffled digits as pixels (N, 3, 32, 32) in [0, 1], and labels."""
    found = load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))
    small = torch.tensor(found.images[order] / 16, dtype=torch.float32)
    large = small.repeat_interleave(4, 1).repeat_interleave(4, 2)
    return large[:, None].repeat(1, 3, 1, 1), torch.tensor(found.target[order])


def train(name: str, pixels: torch.Tensor, labels: torch.Tensor, options: Any) -> nn.Module:
    """A built-in model after a few epochs of Adam."""
    torch.manual_seed(options.seed)
    found = plugins.load("models", name)
    model: nn.Module = found.build(plugins.config_class("models", name)(), _IMAGE).train()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(options.epochs):
        for rows in torch.randperm(len(labels)).split(64):
            loss = nn.functional.cross_entropy(model(_IMAGE.normalize(pixels[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    pixels, labels = digits(options.seed)
    model = train(name, pixels[_HELD_OUT:], labels[_HELD_OUT:], options)
    config = QuantizeConfig(
        weights=WeightConfig(bits=options.bits), activations=ActivationConfig(bits=options.bits)
    )
    rng = torch.Generator().manual_seed(options.seed)
    done = quantize(model, _IMAGE, config, pixels[_HELD_OUT:], rng)
    with tempfile.TemporaryDirectory() as folder:
        files = {"float": Path(folder, "float.onnx"), "int8": Path(folder, "int8.onnx")}
        sizes = {"float": done.export_float(files["float"]), "int8": done.export(files["int8"])}
        sessions = {key: session(path) for key, path in files.items()}
        row = {"model": name, "bits": options.bits, "epochs": options.epochs}
        row |= accuracies(done, sessions["int8"], pixels[:_HELD_OUT], labels[:_HELD_OUT])
        row |= speeds(sessions, _IMAGE.normalize(pixels[:1]).numpy(), options.rounds)
    row |= {f"bytes_{key}": size for key, size in sizes.items()}
    return row | {"size": sizes["float"] / sizes["int8"], "machine": platform.platform()}


def session(path: Path) -> onnxruntime.InferenceSession:
    """One thread, all optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def accuracies(
    done: QuantizedModel,
    runtime: onnxruntime.InferenceSession,
    pixels: torch.Tensor,
    labels: torch.Tensor,
) -> dict[str, float]:
    """Percent right: float, simulated and in the runtime; percent on which the last two agree."""
    x_NCHW = _IMAGE.normalize(pixels)
    simulated = done(pixels).argmax(1)
    found = torch.from_numpy(runtime.run(None, {"images": x_NCHW.numpy()})[0]).argmax(1)

    def percent(hits: torch.Tensor) -> float:
        return 100 * float(hits.float().mean())

    return {
        "accuracy_float": percent(done.original(x_NCHW).argmax(1) == labels),
        "accuracy_simulated": percent(simulated == labels),
        "accuracy_runtime": percent(found == labels),
        "same_class": percent(found == simulated),
    }


def speeds(
    sessions: dict[str, onnxruntime.InferenceSession], image: np.ndarray, rounds: int
) -> dict[str, Any]:
    """Milliseconds per image and their ratio, from alternating rounds."""
    medians: dict[str, list[float]] = {key: [] for key in sessions}
    fastest = dict.fromkeys(sessions, float("inf"))
    for index in range(rounds + 1):
        for key, one in sessions.items():
            seconds = []
            for _ in range(_RUNS_PER_ROUND):
                start = time.perf_counter()
                one.run(None, {"images": image})
                seconds.append(time.perf_counter() - start)
            if index:  # the first round warms up
                medians[key].append(1e3 * statistics.median(seconds))
                fastest[key] = min(fastest[key], *seconds)
    middle = {key: statistics.median(found) for key, found in medians.items()}
    ratios = [f / i for f, i in zip(medians["float"], medians["int8"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "ms_float": middle["float"],
        "ms_int8": middle["int8"],
        "speed": middle["float"] / middle["int8"],
        "speed_quartiles": [quartiles[0], quartiles[2]],
        "speed_fastest": fastest["float"] / fastest["int8"],
    }


if __name__ == "__main__":
    main()
