"""Report how many training samples of each class a client holds, where a method declares it."""

from __future__ import annotations

import torch

from fedzda.clients.hooks.base import Hook, LocalRun


class ClassCounts(Hook):
    """Adds ``class-counts`` (one number per class) to the reply's metrics."""

    def start(self, run: LocalRun) -> None:
        """Count before any other hook adds samples."""
        classes = run.runtime.image.num_classes
        counts = torch.bincount(run.data["label"].cpu(), minlength=classes)
        run.metrics["class-counts"] = counts.tolist()
