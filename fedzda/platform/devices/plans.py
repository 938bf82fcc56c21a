"""What a run will ask of devices that run forms of the model of their own, before it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from fedzda.platform.config import UplinkConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.forms import Form


@dataclass(frozen=True)
class FormPlan:
    """A class of devices and what its form of the model takes.

    Attributes:
        device: Name of the class.
        variant: Name of the form.
        clients: Clients that belong to it.
        trains: Whether they take part in training.
        parameters: Trained values.
        bytes: Size of the form as it is deployed.
        macs: Multiply-adds of a forward pass on one sample, in a test.
    """

    device: str
    variant: str
    clients: int
    trains: bool
    parameters: int
    bytes: int
    macs: int


def form_plans(fleet: Fleet | None) -> list[FormPlan]:
    """One per class of devices; none where all run the full model."""
    if fleet is None or fleet.forms is None:
        return []
    counts = np.bincount(fleet.kind, minlength=len(fleet.names))
    plans = []
    for name, form, clients in zip(fleet.names, fleet.forms, counts, strict=True):
        cost = {key: asdict(form.cost)[key] for key in ("parameters", "bytes", "macs")}
        plans.append(FormPlan(name, form.title, int(clients), form.config.trains, **cost))
    return plans


def trainers(fleet: Fleet | None, num_clients: int) -> Ints:
    """Clients that take part in training, ascending."""
    if fleet is None or fleet.forms is None:
        return np.arange(num_clients)
    return np.flatnonzero(np.array([form.config.trains for form in fleet.forms])[fleet.kind])


def mean_traffic(
    fleet: Fleet | None, down: int, up: int, uplink: UplinkConfig | None
) -> tuple[float, float]:
    """Bytes that a client that trains receives and sends in a round, on average; 0 if nobody does.

    Args:
        fleet: The devices.
        down: Bytes of the full model.
        up: Bytes of its update as it is sent.
        uplink: Compression of updates; None: none.
    """
    if fleet is None or fleet.forms is None:
        return down, up
    counts = np.bincount(fleet.kind, minlength=len(fleet.names))
    pairs = [_traffic(form, down, up, uplink) for form in fleet.forms]
    weights = counts * np.array([form.config.trains for form in fleet.forms])
    if not weights.any():
        return 0.0, 0.0
    received, sent = np.average(pairs, axis=0, weights=weights)
    return float(received), float(sent)


def _traffic(form: Form, down: int, up: int, uplink: UplinkConfig | None) -> tuple[int, int]:
    if form.config.whole:
        return down, up
    size, num = form.cost.bytes, form.cost.parameters
    encoded = 0 if uplink is None else uplink.encoded_bytes(num) - 4 * num
    return size, size + encoded
