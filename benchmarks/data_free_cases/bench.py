"""Teachers, real images and results: what all parts of data_free.py share."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from teachers import Data, load_data
from torch import nn

from fedzda.base import ImageSpec
from fedzda.clients.classifiers import load_classifier
from fedzda.platform.data.store import cache_root
from fedzda.platform.files import write_json

_BATCH = 250
JUDGES = {"mnist-lenet-bn": "mnist-resnet-8", "mnist-resnet-8": "mnist-lenet-bn"}
"""Who says whether images made from a teacher show anything."""


class Teacher:
    """A trained classifier, and the data it was trained on.

    Args:
        name: A file of teachers.py.
        device: Where to compute.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        path = cache_root() / "teachers" / f"{name}.safetensors"
        if not path.exists():
            data, _, model = name.partition("-")
            raise SystemExit(
                f"there is no {path}: python benchmarks/teachers.py --data {data} --model {model}"
            )
        found = load_classifier(path)
        self.name, self.device = name, device
        self.image: ImageSpec = found.image
        self.fingerprint = found.fingerprint
        self.model: nn.Module = found.model.to(device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @cached_property
    def data(self) -> Data:
        """Real images."""
        return load_data(self.name.partition("-")[0])

    @cached_property
    def accuracy(self) -> float:
        """Percent of the test images that the teacher recognises."""
        return self.tested(lambda pixels: self.model(self.image.normalize(pixels)))

    @torch.no_grad()
    def tested(self, model: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Percent of the test images that ``model``, from pixels to logits, recognises."""
        right = 0
        parts = [torch.split(t, _BATCH) for t in (self.data.test, self.data.test_labels)]
        for pixels, labels in zip(*parts, strict=True):
            logits = model(pixels.to(self.device).float() / 255)
            right += int((logits.argmax(dim=1).cpu() == labels).sum())
        return 100 * right / len(self.data.test)


class Bench:
    """The options of a call, and its teachers.

    Args:
        results: Folder of the cells.
        device: Where to compute.
        full: The budget of the method sheet.
        steps: Every number of steps, to try a command out.
        only: Parts of the names of the cells that are wanted; empty: all of them.
    """

    def __init__(
        self,
        results: Path,
        device: str,
        full: bool,
        steps: int | None,
        only: Sequence[str] = (),
    ) -> None:
        self.results, self.full, self.steps, self.only = results, full, steps, only
        self.device = torch.device(device)
        self._teachers: dict[str, Teacher] = {}

    def teacher(self, name: str) -> Teacher:
        """A teacher, loaded once."""
        if name not in self._teachers:
            self._teachers[name] = Teacher(name, self.device)
        return self._teachers[name]

    def path(self, part: str, cell: str) -> Path:
        """Where the result of one cell is kept."""
        return self.results / (f"{part}-full" if self.full else part) / f"{cell}.json"

    def keep(self, part: str, cell: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Measure a cell that is wanted and has no result yet, and write it down."""
        path = self.path(part, cell)
        if path.exists() or (self.only and not any(text in cell for text in self.only)):
            return
        started = time.perf_counter()
        found = measure()
        found |= {
            "seconds": round(time.perf_counter() - started, 1),
            "machine": f"{platform.machine()}, {self._where()}, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
            "date": time.strftime("%Y-%m-%d"),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
        print(part, cell, {k: v for k, v in found.items() if k in SAID}, flush=True)

    def _where(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"


SAID = ("accuracy", "calibrated", "student_accuracy", "seconds", "problem")
"""What is printed of a cell."""


def cells(folder: Path) -> list[dict[str, Any]]:
    """All results in a folder."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
