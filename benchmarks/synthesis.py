"""How well and how fast the synthesizers invert a small BatchNorm network.

    python benchmarks/synthesis.py                      # 8x8 digits of scikit-learn
    FEDZDA_DATA=… python benchmarks/synthesis.py --data mnist

Trains lenet-bn, inverts it, and prints for each synthesizer

    agreement    share of images that the inverted network gives their label
    judged       the same by a second network that the synthesizer never saw
    bn_loss      distance to the stored BatchNorm statistics, beside that of uniform noise
    distance     mean pixel distance within a class, beside that of real images
    student      test accuracy of a fresh network trained on synthetic images only
    seconds      of the first fit, on one thread; a second fit costs the same

Rows "x 2" and "x 3" are further fits of the same synthesizer (warm start). ``--json FILE`` writes
the rows.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from fedzda.base import ImageSpec, Synthesizer, torch_rng
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.generators import quality
from fedzda.generators.config import BNMatchConfig, ImageDistillationConfig, ZSCGANConfig
from fedzda.generators.image_distillation import ImageDistillation
from fedzda.generators.sheet import save_sheet
from fedzda.generators.zs_cgan import ZSCGAN

Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Training pixels in [0, 1], training labels, test pixels, test labels."""

_TEST_IMAGES = 400
_STUDENT_IMAGES = 2000


def digits() -> Data:
    """The digits of scikit-learn, the last 400 for testing."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    pixels = torch.tensor(data.images[order] / 16.0, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.target[order], dtype=torch.int64)
    cut = len(labels) - _TEST_IMAGES
    return pixels[:cut], labels[:cut], pixels[cut:], labels[cut:]


def mnist() -> Data:
    """The first 12,000 training and 3,000 test images under ``$FEDZDA_DATA/mnist``."""
    if "FEDZDA_DATA" not in os.environ:
        raise SystemExit("set FEDZDA_DATA to the folder that holds mnist/train.parquet")
    folder = Path(os.environ["FEDZDA_DATA"]) / "mnist"
    return (*_parquet(folder / "train.parquet", 12_000), *_parquet(folder / "test.parquet", 3_000))


def _parquet(path: Path, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    import pyarrow.parquet
    from PIL import Image

    rows = pyarrow.parquet.read_table(path).slice(0, count)
    images = [np.asarray(Image.open(io.BytesIO(v["bytes"]))) for v in rows["image"].to_pylist()]
    pixels = torch.tensor(np.stack(images), dtype=torch.float32)[:, None] / 255
    return pixels, torch.tensor(rows["label"].to_numpy(), dtype=torch.int64)


def train(x_NCHW: torch.Tensor, labels: torch.Tensor, epochs: int, seed: int) -> LeNetBN:
    """A lenet-bn after so many epochs of SGD 0.05, momentum 0.9, batch 32."""
    torch.manual_seed(seed)
    net = LeNetBN(x_NCHW.shape[1], 10, (x_NCHW.shape[2], x_NCHW.shape[3]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(labels)), 32):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x_NCHW[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net.eval()


class Bench:
    """Networks and reference values of one data set."""

    def __init__(self, data: Data, seed: int) -> None:
        pixels, labels, self.test_pixels, self.test_labels = data
        channels, height, width = pixels.shape[1:]
        self.image = ImageSpec(
            (channels, height, width), 10, (pixels.mean().item(),), (pixels.std().item(),)
        )
        self.seed = seed
        x_NCHW = self.image.normalize(pixels)
        self.classifier = train(x_NCHW, labels, epochs=1, seed=seed + 1)
        self.judge = train(x_NCHW, labels, epochs=2, seed=seed + 2)
        noise = torch.rand(256, *self.image.shape, generator=torch_rng(seed, "noise"))
        self.noise_bn = self.assess(noise, labels[:256])["bn_loss"]
        real = self.assess(pixels[:256], labels[:256])
        self.real_bn, self.real_distance = real["bn_loss"], real["within_class_distance"]

    def assess(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Figures of images seen by the inverted classifier."""
        return quality.assess(self.classifier, images, labels, self.image, BNMatchConfig())

    def row(self, name: str, synthesizer: Synthesizer, seconds: float) -> dict[str, Any]:
        """Measure a fitted synthesizer."""
        labels = torch.arange(10).repeat(_STUDENT_IMAGES // 10)
        images = synthesizer.sample(labels, torch_rng(self.seed, "sample"))
        student = train(self.image.normalize(images), labels, epochs=6, seed=self.seed + 3)
        figures = self.assess(images[:256], labels[:256])
        return {
            "synthesizer": name,
            "agreement": figures["agreement"],
            "judged": quality.agreement(self.judge, images, labels, self.image),
            "bn_loss": figures["bn_loss"],
            "distance": figures["within_class_distance"],
            "student": quality.agreement(student, self.test_pixels, self.test_labels, self.image),
            "seconds": seconds,
        }


def measure(bench: Bench, sheets: Path | None) -> list[dict[str, Any]]:
    """One row per synthesizer and fit."""
    rows = []
    made: list[tuple[Synthesizer, int]] = [
        (ZSCGAN(ZSCGANConfig()), 3),
        (ImageDistillation(ImageDistillationConfig()), 1),
    ]
    for synthesizer, fits in made:
        name = synthesizer.Config().name  # type: ignore[attr-defined]
        for fit in range(1, fits + 1):
            started = time.perf_counter()
            rng = torch_rng(bench.seed, "fit", fit)
            synthesizer.fit(bench.classifier, range(10), bench.image, rng)
            seconds = time.perf_counter() - started
            rows.append(bench.row(name if fit == 1 else f"{name} x {fit}", synthesizer, seconds))
        if sheets:
            labels = torch.arange(10).repeat(10)
            images = synthesizer.sample(labels, torch_rng(bench.seed, "sheet"))
            save_sheet(images, labels, sheets / f"{name}.png")
    return rows


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--sheets", type=Path, help="existing folder for sample sheets")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(digits() if args.data == "digits" else mnist(), args.seed)
    accuracy = quality.agreement(
        bench.classifier, bench.test_pixels, bench.test_labels, bench.image
    )
    print(f"{args.data}: inverted lenet-bn has test accuracy {accuracy:.3f}")
    print(f"bn_loss of noise {bench.noise_bn:.3f}, of real images {bench.real_bn:.3f}")
    print(f"distance within a class of real images {bench.real_distance:.2f}")
    rows = measure(bench, args.sheets)
    columns = [column for column in rows[0] if column != "synthesizer"]
    print(f"{'synthesizer':<20}" + "".join(f"{column:>11}" for column in columns))
    for row in rows:
        print(f"{row['synthesizer']:<20}" + "".join(f"{row[c]:>11.3f}" for c in columns))
    if args.json:
        record = {"data": args.data, "seed": args.seed, "accuracy": accuracy, "rows": rows}
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
