"""Train the teachers that data-free methods are measured with.

    FEDZDA_DATA=… python benchmarks/teachers.py --data mnist --model lenet-bn
    FEDZDA_DATA=… python benchmarks/teachers.py --data cifar10 --model resnet-20 --epochs 40

The recipe: SGD with Nesterov momentum 0.9, weight decay 5e-4, half a cosine from ``--lr`` to 0 over
all steps, batches of 128, channels-last; on CIFAR-10 random crops after padding by 4 pixels with
black, and mirroring. The **last** epoch is kept and reported, never the best on test. Every epoch
leaves a checkpoint, so the same command goes on where it was stopped, with the same result.

Written: ``~/.cache/fedzda/teachers/NAME.safetensors``, which ``fedzda synthesize`` reads, and the
recipe with the accuracy, ``docs/studies/results/teachers/NAME.json``. CIFAR-10 in FEDZDA_DATA may
be re-encoded as JPEG, which makes it a little harder than the original: say so beside the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any, NamedTuple

import partial_training
import torch
from torch import nn

from fedzda.base import ImageSpec, torch_rng
from fedzda.clients.classifiers import build_model, load_classifier, save_classifier
from fedzda.platform.data.federation import prepare
from fedzda.platform.data.sources.config import ParquetConfig
from fedzda.platform.data.store import cache_root
from fedzda.platform.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results" / "teachers"
MODELS = ["lenet-bn", "resnet-8", "resnet-20", "resnet-18", "wrn-16-1", "wrn-40-2", "mobilenet-v2"]
COLUMN = {"mnist": "image", "cifar10": "img"}
EPOCHS = {"mnist": 3, "cifar10": 40}
PAD = 4
TEST_BATCH = 500


class Data(NamedTuple):
    """A data set in memory: pixels ``(N, C, H, W)``, uint8 as stored, labels int64 ``(N,)``."""

    train: torch.Tensor
    train_labels: torch.Tensor
    test: torch.Tensor
    test_labels: torch.Tensor
    image: ImageSpec


def load_data(name: str) -> Data:
    """The training and test split under ``$FEDZDA_DATA``."""
    if "FEDZDA_DATA" not in os.environ:
        raise SystemExit(f"set FEDZDA_DATA to the folder that holds {name}/train.parquet")
    config = ParquetConfig(path=f"${{FEDZDA_DATA}}/{name}", image=COLUMN[name], clients=1)
    found = prepare(config, 0, ROOT)
    columns = [found.train["image"], found.train["label"], found.test["image"], found.test["label"]]
    assert found.image is not None
    pixels, labels, test, test_labels = (torch.tensor(column) for column in columns)
    return Data(pixels, labels, test, test_labels, found.image)


def augmented(pixels_NCHW: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Each image cropped at random after padding, and mirrored with probability one half."""
    count, _, height, width = pixels_NCHW.shape
    padded = nn.functional.pad(pixels_NCHW, (PAD,) * 4)
    top = torch.randint(2 * PAD + 1, (count,), generator=rng)
    left = torch.randint(2 * PAD + 1, (count,), generator=rng)
    rows = (top[:, None] + torch.arange(height))[:, None, :, None]
    columns = left[:, None] + torch.arange(width)
    mirrored = torch.rand(count, generator=rng) < 0.5
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)[:, None, None, :]
    image = torch.arange(count)[:, None, None, None]
    channel = torch.arange(pixels_NCHW.shape[1])[None, :, None, None]
    return padded[image, channel, rows, columns]


class Training:
    """One teacher and where it stands.

    Args:
        recipe: What the JSON file will say.
        data: Images.
        partial: The checkpoint to write, and to go on from if it is of the same recipe.
    """

    def __init__(self, recipe: dict[str, Any], data: Data, partial: Path) -> None:
        self.recipe, self.data, self.partial = recipe, data, partial
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(recipe["seed"])
        self.model = build_model({"name": recipe["model"]}, data.image)
        self.model.to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            recipe["lr"],
            momentum=recipe["momentum"],
            weight_decay=recipe["weight_decay"],
            nesterov=True,
        )
        self.done = 0
        self.seconds = 0.0
        self.log: list[dict[str, float]] = []
        self._resume()

    def epoch(self) -> dict[str, float]:
        """Train for an epoch, leave a checkpoint, measure."""
        started = time.perf_counter()
        rng = torch_rng(self.recipe["seed"], "teacher", self.done)
        order = torch.randperm(len(self.data.train), generator=rng)
        batches = torch.split(order, self.recipe["batch_size"])
        total = 0.0
        self.model.train()
        for number, rows in enumerate(batches):
            share = (self.done + number / len(batches)) / self.recipe["epochs"]
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe["lr"] * (1 + math.cos(math.pi * share)) / 2
            pixels = self.data.train[rows]
            if self.recipe["augmented"]:
                pixels = augmented(pixels, rng)
            self.optimizer.zero_grad()
            labels = self.data.train_labels[rows].to(self.device)
            loss = nn.functional.cross_entropy(self.model(self.seen(pixels)), labels)
            torch.autograd.backward(loss)
            self.optimizer.step()
            total += float(loss.detach()) * len(rows)
        self.done += 1
        self.seconds += time.perf_counter() - started
        row = {"epoch": self.done, "loss": total / len(self.data.train), "test": self.accuracy()}
        self.log.append(row)
        self._save()
        return row

    @torch.no_grad()
    def accuracy(self) -> float:
        """Share of the test images that are recognised."""
        self.model.eval()
        right = 0
        parts = [torch.split(t, TEST_BATCH) for t in (self.data.test, self.data.test_labels)]
        for pixels, labels in zip(*parts, strict=True):
            right += int((self.model(self.seen(pixels)).argmax(1).cpu() == labels).sum())
        return right / len(self.data.test)

    def seen(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """Stored pixels as the model takes them."""
        normalised = self.data.image.normalize(pixels_NCHW.to(self.device).float() / 255)
        return normalised.contiguous(memory_format=torch.channels_last)

    def _save(self) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            tensors[f"momentum.{name}"] = self.optimizer.state[parameter]["momentum_buffer"]
        progress = {"done": self.done, "seconds": self.seconds, "log": self.log}
        partial_training.save(self.partial, tensors, self.recipe, progress)

    def _resume(self) -> None:
        found = partial_training.load(self.partial, self.recipe)
        if found is None:
            return
        tensors, progress = found
        weights = {k.removeprefix("model."): v for k, v in tensors.items() if k[:6] == "model."}
        self.model.load_state_dict(weights)
        for name, parameter in self.model.named_parameters():
            momentum = tensors[f"momentum.{name}"].to(self.device)
            buffer = torch.empty_like(parameter).copy_(momentum)
            self.optimizer.state[parameter]["momentum_buffer"] = buffer
        self.done, self.seconds, self.log = (progress[k] for k in ("done", "seconds", "log"))
        print(f"going on after epoch {self.done}")


def finish(training: Training, name: str) -> None:
    """Save the teacher and its recipe."""
    recipe, model = training.recipe, training.model.cpu()
    model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    path = training.partial.with_name(f"{name}.safetensors")
    block = {"name": recipe["model"]}
    extra = {"recipe": json.dumps(recipe)}
    save_classifier(model, path, block, training.data.image, extra)
    saved = load_classifier(path)
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(
        RESULTS / f"{name}.json",
        {
            "name": name,
            "recipe": recipe,
            "accuracy": training.log[-1]["test"],
            "epochs": training.log,
            "fingerprint": saved.fingerprint,
            "parameters": sum(p.numel() for p in saved.model.parameters()),
            "seconds": round(training.seconds, 1),
            "machine": f"{platform.machine()}, {training.device.type}",
            "torch": torch.__version__,
        },
    )
    training.partial.unlink(missing_ok=True)
    print(f"{name}: test accuracy {training.log[-1]['test']:.4f}, written to {path}")


def main() -> None:
    """Parse the arguments, train, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=list(COLUMN), required=True)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--epochs", type=int, help="MNIST 3, CIFAR-10 40 if left out")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stop-after", type=int, help="leave after this epoch; go on later")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    name = f"{args.data}-{args.model}" + (f"-s{args.seed}" if args.seed else "")
    recipe = {
        "data": args.data,
        "model": args.model,
        "epochs": args.epochs or EPOCHS[args.data],
        "lr": args.lr,
        "schedule": "cosine",
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "batch_size": args.batch_size,
        "augmented": args.data == "cifar10",
        "seed": args.seed,
    }
    folder = cache_root() / "teachers"
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(recipe, load_data(args.data), folder / f".{name}.partial.safetensors")
    last = min(recipe["epochs"], args.stop_after or recipe["epochs"])
    while training.done < last:
        row = training.epoch()
        print(
            f"epoch {row['epoch']:.0f}: loss {row['loss']:.4f}, test accuracy {row['test']:.4f}, "
            f"{training.seconds:.0f} s",
            flush=True,
        )
    if training.done == recipe["epochs"]:
        finish(training, name)


if __name__ == "__main__":
    main()
