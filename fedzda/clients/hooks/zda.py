"""Fed-ZDAC's client half: fill up the classes a client lacks with synthetic images.

Hao et al., CVPR Workshops 2021, arXiv 2104.13417, claims 1-4 of US 12236370 B2.
"""

from __future__ import annotations

import torch

from fedzda.base import Synthesizer, fingerprint, torch_rng
from fedzda.clients.hooks.augmentation import Augmentation
from fedzda.clients.hooks.base import LocalRun
from fedzda.platform.parts import build_synthesizer


class ZeroShotAugmentation(Augmentation):
    """Extends the client's data by images sampled from a generator of the received model.

    The generator comes with the request, or is fitted here (``share: client``).
    """

    request = "zda"

    def images(
        self, run: LocalRun, labels: torch.Tensor, rng: torch.Generator
    ) -> torch.Tensor | None:
        """Samples of the generator; None where it has nothing to say yet."""
        synthesizer = self._synthesizer(run)
        if synthesizer is None:
            return None
        return run.runtime.image.normalize(synthesizer.sample(labels, rng))

    def _synthesizer(self, run: LocalRun) -> Synthesizer | None:
        """The received generator, or one fitted here; None where its images have no meaning yet."""
        runtime = run.runtime
        synthesizer = build_synthesizer(self.options["synthesizer"])
        received = run.call.content.arrays.get("synthesizer")
        if received is not None:
            tensors = {name: torch.tensor(value) for name, value in received.items()}
            synthesizer.load_state(tensors, runtime.image)
            return synthesizer
        mark = int(fingerprint(run.call.content.arrays["arrays"]), 16)
        keys = (run.call.round, mark, run.call.client)
        run.model.eval()
        figures = synthesizer.fit(
            run.model,
            list(range(runtime.image.num_classes)),
            runtime.image,
            torch_rng(runtime.seed, "zdac-client", *keys),
        )
        run.metrics["zda-agreement"] = figures["agreement"]
        return synthesizer if figures["agreement"] >= self.options["gate_agreement"] else None
