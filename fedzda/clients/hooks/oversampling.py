"""Repeat a client's own samples: re-balancing, and more gradient steps, without new images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from fedzda.base import numpy_rng
from fedzda.clients.hooks.augmentation import class_counts
from fedzda.clients.hooks.base import Hook, LocalRun
from fedzda.platform.devices.work import balancing, deficit


class Oversampling(Hook):
    """Extends the client's data by repetitions of its own samples.

    ``repeat: rare`` brings every class that the client holds up to its largest. ``amount: as-zdac``
    adds as many samples as Fed-ZDAC would, ``repeat: rare`` then to its rarest classes, ``all`` to
    all alike. The reply's ``num-examples`` counts the client's own samples once.
    """

    def start(self, run: LocalRun) -> None:
        """Add the repetitions; ``extra`` says how many."""
        options: dict[str, Any] = json.loads(run.config["oversampling"])
        counts = class_counts(run).numpy()
        total = None
        if options["amount"] == "as-zdac":
            total = int(deficit(counts, options["fill"], options["cap"]).sum())
        rng = numpy_rng(run.runtime.seed, "oversampling", run.call.round, run.call.client)
        labels = run.data["label"].cpu().numpy()
        if options["repeat"] == "all":
            rows = repeated(np.arange(len(labels)), total or 0, rng)
        else:
            extra = balanced(counts, total)
            held = [repeated(np.flatnonzero(labels == c), n, rng) for c, n in enumerate(extra)]
            rows = np.concatenate(held)
        run.metrics["extra"] = float(len(rows))
        index = torch.from_numpy(rows)
        run.data = {name: torch.cat([own, own[index]]) for name, own in run.data.items()}


def balanced(counts: np.ndarray, total: int | None) -> np.ndarray:
    """``(C,)`` repetitions per class that bring the held classes as close together as can be.

    Args:
        counts: ``(C,)`` samples of each class; classes without any get none.
        total: Repetitions in all; None: as many as it takes to reach the largest class.
    """
    held = counts > 0
    extra = balancing(counts)
    if total is None:
        return extra
    if total >= extra.sum():
        rest, each = total - extra.sum(), np.flatnonzero(held)
        extra[each] += rest // len(each)
        extra[each[: rest % len(each)]] += 1
        return extra
    extra = np.zeros_like(counts)
    for _ in range(total):
        extra[np.where(held, counts + extra, counts.max() + 1).argmin()] += 1
    return extra


def repeated(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of ``rows``: whole permutations one after the other, the last one cut."""
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    passes = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(passes)])[:count]
