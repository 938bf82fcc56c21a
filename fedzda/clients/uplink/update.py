"""Both ends of a compressed update, in the place of the hook that acts last.

The client encodes how its trained weights changed; the server decodes it and adds it to the model
that it sent. The server's half runs in the worker as well, where the received model is at hand, so
that every strategy sees models as ever and workers can still sum them up. What is counted as sent
are the bytes of the encoded arrays, of the arrays that are not trained (BatchNorm statistics, as
they are) and of what a method sends besides.
"""

from __future__ import annotations

import numpy as np
import torch

from fedzda.base import numpy_rng
from fedzda.clients.hooks.base import Hook, LocalRun
from fedzda.clients.uplink.base import Compressor
from fedzda.platform import plugins
from fedzda.platform.config import UplinkConfig
from fedzda.platform.records import Content

RESIDUAL = "residual"
"""Record of the client's state: what its updates so far have left out, per trained weight."""


class CompressedUpdate(Hook):
    """Replaces the trained weights by those that the server decodes.

    Args:
        config: The ``uplink:`` block.
    """

    def __init__(self, config: UplinkConfig) -> None:
        self.compressor: Compressor = plugins.load("uplinks", config.name)(config)

    def start(self, run: LocalRun) -> None:
        """Remember the received weights."""
        self.received = {n: p.detach().clone() for n, p in run.model.named_parameters()}

    def finish(self, run: LocalRun) -> None:
        """Send the update: encode, count, decode."""
        names = [name for name in self.received if name not in run.withheld]
        if not names:
            return
        weights = dict(run.model.named_parameters())
        size = sum(weights[name].numel() for name in names)
        sent_bytes = 4 * size
        if not self.compressor.lossless(size):
            changes = [(weights[n].detach() - self.received[n]).flatten() for n in names]
            update = torch.cat(changes).float().cpu().numpy() + self._residual(run, names, size)
            if not np.isfinite(update).all():
                return  # an encoder could hide that training diverged; the worker refuses the model
            rng = numpy_rng(run.runtime.seed, "uplink", run.call.round, run.call.client)
            encoded = self.compressor.encode(update, rng)
            sent_bytes = sum(array.nbytes for array in encoded.values())
            decoded = self.compressor.decode(encoded, size)
            if self.compressor.feedback:
                run.state.arrays[RESIDUAL] = self._split(update - decoded, names)
            self._load(weights, self._split(decoded, names))
        run.bytes_up = sent_bytes + self._uncompressed_bytes(run)

    def _residual(self, run: LocalRun, names: list[str], size: int) -> np.ndarray:
        kept = run.call.state.arrays.get(RESIDUAL)
        if kept is None or not self.compressor.feedback:
            return np.zeros(size, dtype=np.float32)
        return np.concatenate([np.asarray(kept[name]).ravel() for name in names])

    def _split(self, flat: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        shapes = [self.received[name].shape for name in names]
        ends = np.cumsum([shape.numel() for shape in shapes])[:-1]
        parts = np.split(flat, ends)
        return {n: p.reshape(s).copy() for n, p, s in zip(names, parts, shapes, strict=True)}

    def _load(self, weights: dict[str, torch.nn.Parameter], decoded: dict[str, np.ndarray]) -> None:
        with torch.no_grad():
            for name, change in decoded.items():
                moved = torch.from_numpy(change).to(weights[name])
                weights[name].copy_(self.received[name] + moved)

    def _uncompressed_bytes(self, run: LocalRun) -> int:
        """Arrays that are not trained, and further records."""
        rest = [
            value
            for name, value in run.model.state_dict().items()
            if name not in self.received and name not in run.withheld
        ]
        size = sum(value.numel() * value.element_size() for value in rest)
        return int(size) + Content(run.uploads).num_bytes()
