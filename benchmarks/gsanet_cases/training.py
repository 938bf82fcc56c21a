"""One cell: a network trained from scratch on all of CamVid's training frames, no selection.

Every epoch ends with a checkpoint, so a cell can be stopped at any time and goes on where it was;
batches and augmentation are functions of (seed, epoch, step), so that changes nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

from fedzda.base import numpy_rng, stream, torch_rng
from fedzda.clients.tasks.config import SegmentationConfig
from fedzda.clients.tasks.segmentation import Segmentation
from fedzda.platform.data.federation import Federation, prepare
from fedzda.platform.data.sources.config import ParquetConfig
from fedzda.vision.gsanet.config import AugmentationConfig
from fedzda.vision.gsanet.costs import count_costs, latency_ms
from gsanet_cases.arms import Arm, build

CLASSES = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]
BATCH, CROP = 8, [160, 176]
LR, WEIGHT_DECAY, POWER = 3e-3, 1e-4, 0.9
AUGMENTATION = AugmentationConfig(scale=[0.75, 1.5], crop=CROP, flip=True, colour=0.2)
_EVALUATED = 16
"""Images per evaluation batch."""

Batch = dict[str, torch.Tensor]


def camvid() -> Federation:
    """All training frames in one place; the test frames apart."""
    config = ParquetConfig(
        path="${FEDZDA_DATA}/camvid",
        annotation="annotation",
        class_names=CLASSES,
        void=[11],
        clients=1,
        test_fraction=0.0,
    )
    return prepare(config, 0, Path.cwd())


def sequences(split: str) -> np.ndarray:
    """The drive of every frame of a split."""
    file = Path(os.environ["FEDZDA_DATA"]) / "camvid" / f"{split}.parquet"
    return np.array(pq.read_table(file, columns=["sequence"])["sequence"].to_pylist())


def run_cell(
    arm: Arm, size: str, seed: int, epochs: int, work: Path, device: str
) -> dict[str, Any]:
    """Train (or go on training) one cell and measure it."""
    data = camvid()
    assert data.image is not None
    low, high = (int(word) for word in stream(seed, "gsanet-model").generate_state(2))
    torch.manual_seed(low << 31 ^ high)
    model = build(arm, size, data.image).to(device, memory_format=torch.channels_last)
    task = Segmentation(SegmentationConfig(augmentation=AUGMENTATION), data.image)
    trainer = _Trainer(model, task, data, seed, epochs, work / f"{size}-{arm.name}-s{seed}.pt")
    seconds = trainer.train()
    costs = count_costs(model, data.image.shape)
    return {
        "arm": arm.name,
        "size": size,
        "seed": seed,
        "epochs": epochs,
        "test": evaluate(model, task, data),
        "parameters": costs.parameters,
        "macs": costs.total_macs,
        "latency_ms": round(latency_ms(model, data.image.shape), 2),
        "hours": round(seconds / 3600, 3),
    }


class _Trainer:
    """AdamW with a polynomial decay per step."""

    def __init__(
        self,
        model: nn.Module,
        task: Segmentation,
        data: Federation,
        seed: int,
        epochs: int,
        checkpoint: Path,
    ) -> None:
        self.model, self.task, self.data = model, task, data
        self.seed, self.epochs, self.checkpoint = seed, epochs, checkpoint
        self.rows = data.indices(0, "train")
        self.steps = len(self.rows) // BATCH  # the last, smaller batch is left out
        self.optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=WEIGHT_DECAY)

    def train(self) -> float:
        """All epochs that are still to do; returns the seconds of all of them."""
        first, seconds = self._load()
        for epoch in range(first, self.epochs):
            start = time.perf_counter()
            loss = self._epoch(epoch)
            seconds += time.perf_counter() - start
            self._save(epoch + 1, seconds)
            print(f"{self.checkpoint.stem} epoch {epoch + 1}/{self.epochs} loss {loss:.3f} "
                  f"{seconds / (epoch + 1):.1f} s per epoch", flush=True)  # fmt: skip
        return seconds

    def _epoch(self, epoch: int) -> float:
        self.model.train()
        order = numpy_rng(self.seed, "gsanet-batches", epoch).permutation(self.rows)
        rng = torch_rng(self.seed, "gsanet-augmentation", epoch)
        total = 0.0
        for step in range(self.steps):
            done = (epoch * self.steps + step) / (self.epochs * self.steps)
            self.optimizer.param_groups[0]["lr"] = LR * (1 - done) ** POWER
            rows = np.sort(order[step * BATCH : (step + 1) * BATCH])
            device = next(self.model.parameters()).device
            batch = dict(self.task.augment(to_batch(self.data.train, rows, self.data, device), rng))
            loss = self.task.loss(self.model, batch)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += float(loss.detach())
        return total / self.steps

    def _load(self) -> tuple[int, float]:
        if not self.checkpoint.exists():
            return 0, 0.0
        kept = torch.load(self.checkpoint, weights_only=True)
        if kept["epochs"] != self.epochs:
            raise SystemExit(f"{self.checkpoint} is of a run of {kept['epochs']} epochs: remove it")
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        return kept["done"], kept["seconds"]

    def _save(self, done: int, seconds: float) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.checkpoint.with_suffix(".new")
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "done": done, "seconds": seconds, "epochs": self.epochs}, temporary)
        temporary.replace(self.checkpoint)


def to_batch(
    table: dict[str, np.ndarray], rows: np.ndarray, data: Federation, device: torch.device
) -> Batch:
    """Rows of a table, images normalised."""
    assert data.image is not None
    pixels = torch.from_numpy(np.ascontiguousarray(table["image"][rows])).to(device)
    images = data.image.normalize(pixels.float() / 255)
    truth = torch.from_numpy(np.ascontiguousarray(table["annotation"][rows])).to(device)
    return {"image": images.contiguous(memory_format=torch.channels_last), "annotation": truth}


def evaluate(model: nn.Module, task: Segmentation, data: Federation) -> dict[str, Any]:
    """Figures of the whole test set, of its drives, and the IoU of every class."""
    model.eval()
    drive = sequences("test")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    total: dict[str, dict[str, torch.Tensor]] = {}
    with torch.no_grad():
        for name in np.unique(drive):
            rows = np.flatnonzero(drive == name)
            for start in range(0, len(rows), _EVALUATED):
                batch = to_batch(data.test, rows[start : start + _EVALUATED], data, device)
                part = task.statistics(task.outputs(model, batch), batch)
                for group in ("all", str(name)):
                    kept = total.setdefault(group, {})
                    for key, value in part.items():
                        kept[key] = kept[key] + value if key in kept else value
    found: dict[str, Any] = {group: task.metrics(sums) for group, sums in total.items()}
    found["iou"] = dict(zip(CLASSES, task.details(total["all"])["iou"], strict=True))
    return found
