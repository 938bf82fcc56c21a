"""The oracle: as many images with the same labels as Fed-ZDAC uses, taken from other clients."""

from __future__ import annotations

import numpy as np
import torch

from fedzda.base import UserError, numpy_rng
from fedzda.clients.hooks.augmentation import Augmentation
from fedzda.clients.hooks.base import LocalRun


class RealImages(Augmentation):
    """Training images of all clients, drawn anew every round; nobody's test images."""

    request = "real-images"

    def images(self, run: LocalRun, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """For every label a training image of that class, each at most once where there are enough.

        Raises:
            UserError: no client can train on a class (``data.missing_classes: allow``).
        """
        runtime = run.runtime
        pool = runtime.federation.pool("train")
        classes = runtime.federation.train["label"][pool]
        draw = numpy_rng(runtime.seed, "real-images", run.call.round, run.call.client)
        wanted = labels.numpy()
        rows = np.zeros(len(wanted), dtype=np.int64)
        for label in np.unique(wanted):
            places, found = np.flatnonzero(wanted == label), pool[classes == label]
            if len(found) == 0:
                raise UserError(
                    f"no client holds a training image of class {label}, and the oracle needs "
                    "some. Set data.missing_classes to 'fail' and choose another partition."
                )
            rows[places] = draw.choice(found, len(places), replace=len(places) > len(found))
        return runtime.batch(rows)["image"]
