"""What a request costs a device: multiply-adds and bytes, known before anybody trains.

Seconds are ``down / downlink + work / compute + up / uplink``: nothing overlaps. Work is counted
multiply-adds of a forward pass, times the samples that local training sees, times
``devices.train_factor``; what a method does besides stands in its requests
(:class:`~fedzda.platform.devices.work.ExtraWork`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.config import LocalConfig, UplinkConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.devices.availability import Times
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.forms import model_bytes
from fedzda.platform.devices.work import ExtraWork, Samples, samples_seen
from fedzda.platform.records import Content

WITHHELD = "fedzda.withheld"
"""Config key of a request: names of the model's arrays that the client will not send."""
EXTRA_BYTES = "fedzda.extra-bytes"
"""Config key of a request: bytes of what the client will send beside its model."""


@dataclass(frozen=True)
class Workload:
    """Requests in seconds of each device.

    Attributes:
        fleet: The devices.
        macs: Multiply-adds of a forward pass on one sample.
        samples: What the clients hold.
        local: Local training.
        buffers: Names of the model's arrays that are not trained.
        uplink: Compression of updates; None: none.
    """

    fleet: Fleet
    macs: int
    samples: Samples
    local: LocalConfig
    buffers: frozenset[str]
    uplink: UplinkConfig | None

    def download(self, content: Content, client: int) -> int:
        """Bytes that a client receives: the request, with the model in the client's form."""
        size, form = content.num_bytes(), self.fleet.form(client)
        if form is None or (form.config.whole and form.config.trains):
            return size
        model = content.arrays.get("arrays")
        return size if model is None else size - model_bytes(model) + form.cost.bytes

    def upload(self, content: Content, client: int) -> int:
        """Bytes that a client sends after training as a request asks for it."""
        config, form = content.config(), self.fleet.form(client)
        if form is not None and not form.config.whole:
            size, num = form.cost.bytes, form.cost.parameters
            if self.uplink is not None:
                size += self.uplink.encoded_bytes(num) - 4 * num
            return size + int(config.get(EXTRA_BYTES, 0))
        withheld = set(config.get(WITHHELD, ()))
        model: Mapping[str, Any] = content.arrays.get("arrays", {})
        sent = {name: value for name, value in model.items() if name not in withheld}
        trained = {name: value for name, value in sent.items() if name not in self.buffers}
        size = sum(int(value.nbytes) for value in sent.values())
        if self.uplink is not None and trained:
            size -= sum(int(value.nbytes) for value in trained.values())
            size += self.uplink.encoded_bytes(sum(int(value.size) for value in trained.values()))
        return size + int(config.get(EXTRA_BYTES, 0))

    def macs_of(self, clients: Ints) -> Times | int:
        """``(C,)`` multiply-adds of a forward pass on one sample, in the clients' forms."""
        forms = self.fleet.forms
        if forms is None:
            return self.macs
        full = [form.config.plain_training and form.config.whole for form in forms]
        each = [
            self.macs if same else form.training_macs
            for form, same in zip(forms, full, strict=True)
        ]
        found: Times = np.array(each, dtype=np.float64)[self.fleet.kind[clients]]
        return found

    def train_sec(
        self,
        clients: Ints,
        down: int | Ints,
        up: int | Ints,
        round_: int = 1,
        extra: ExtraWork | None = None,
    ) -> Times:
        """``(C,)`` seconds from receiving a request to the server's holding the update."""
        work = self._passes(clients, round_, extra or ExtraWork())
        compute = self.macs_of(clients) * work / self.fleet.rate("compute", clients)
        return compute + self._transfer_sec(clients, down, up)

    def _passes(self, clients: Ints, round_: int, extra: ExtraWork) -> Times:
        """``(C,)`` forward passes of one sample that cost as much as a client's round."""
        held = self.samples.held(clients, round_)
        counts = [self.samples.counts_C(int(c), round_) for c in clients] if extra.fill else []
        added = np.array([extra.added(own) for own in counts] or 0)
        plain = samples_seen(held, self.local)
        more = samples_seen(held + added, self.local)
        seen = plain * (1 + (added > 0)) if extra.apart else more
        making = np.where(held > 0, extra.images, 0)
        trained = seen + extra.trainings * plain + making
        return np.asarray(trained * self.fleet.config.train_factor + extra.forward * held)

    def query_sec(self, clients: Ints, down: int, round_: int = 1) -> Times:
        """``(C,)`` the same for a forward pass over all training samples, without an answer to
        speak of."""
        held = self.samples.held(clients, round_)
        compute = self.macs_of(clients) * held / self.fleet.rate("inference", clients)
        return compute + self._transfer_sec(clients, down, 0)

    def _transfer_sec(self, clients: Ints, down: int | Ints, up: int | Ints) -> Times:
        sent = 8.0 * np.asarray(up) / self.fleet.rate("uplink", clients)
        received: Times = 8.0 * np.asarray(down) / self.fleet.rate("downlink", clients)
        return received + sent

    def check(self, model: Mapping[str, Any]) -> None:
        """Refuse devices on which the model cannot be trained, or not in time.

        Args:
            model: All arrays of the model.

        Raises:
            UserError: A profile's memory is too small, or no client could meet the deadline.
        """
        config = self.fleet.config
        size = model_bytes(model)
        trained = (value for name, value in model.items() if name not in self.buffers)
        full_bytes = size + sum(int(value.nbytes) for value in trained)
        problems = []
        for number, entry in enumerate(config.profiles):
            form = None if self.fleet.forms is None else self.fleet.forms[number]
            same = form is None or (form.config.whole and form.config.trains)
            needed = full_bytes if form is None or same else form.needed_bytes
            if entry.profile.memory < needed and (form is None or form.config.name != "excluded"):
                what = (
                    "the model's weights and gradients take"
                    if form is None or same
                    else f"its variant '{form.title}' takes"
                )
                problems.append(
                    f"devices: profile '{entry.profile.name}' has {entry.profile.memory:,.0f} "
                    f"bytes of memory, and {what} {needed:,}. Raise "
                    "memory, or take a smaller model or variant."
                )
        if config.deadline is not None:
            content = Content({"arrays": dict(model)})
            everybody = self._training()
            first = [int(np.flatnonzero(self.fleet.kind == k)[0]) for k in self._kinds()]
            up, down = (np.zeros(len(self.fleet.names), dtype=np.int64) for _ in range(2))
            for client in first:
                kind = self.fleet.kind[client]
                up[kind] = self.upload(content, client)
                down[kind] = self.download(content, client)
            kinds = self.fleet.kind[everybody]
            seconds = self.train_sec(everybody, down[kinds], up[kinds])
            fastest = float(seconds.min(initial=np.inf))
            if len(everybody) and fastest > config.deadline:
                problems.append(
                    f"devices.deadline is {config.deadline:g} s, which no client can meet: the "
                    f"fastest takes {fastest:.4g} s. Raise it, or give clients less to do."
                )
        if problems:
            raise UserError(*problems)

    def _training(self) -> Ints:
        """Clients that take part in training."""
        forms = self.fleet.forms
        if forms is None:
            return np.arange(self.fleet.num_clients)
        trains = np.array([form.config.trains for form in forms])
        return np.flatnonzero(trains[self.fleet.kind])

    def _kinds(self) -> list[int]:
        """Classes of devices that have clients."""
        return [int(kind) for kind in np.unique(self.fleet.kind)]
