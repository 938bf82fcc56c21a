"""Who has which device: a function of the seed and the client, kept as a few arrays.

Letters in names: N registered clients, P profiles, C clients asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedzda.base import numpy_rng
from fedzda.platform.config import DevicesConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.devices.availability import Always, Availability, Diurnal, Times
from fedzda.platform.devices.config import (
    AlwaysConfig,
    DeviceConfig,
    DiurnalConfig,
    ProfilesConfig,
    TraceConfig,
)
from fedzda.platform.devices.traces import read_trace

if TYPE_CHECKING:
    from fedzda.platform.devices.forms import Form


def device_names(config: DevicesConfig) -> list[str]:
    """Names of the classes of devices, in the order of the file."""
    if isinstance(config, ProfilesConfig):
        return [entry.profile.name for entry in config.profiles]
    return [config.name]


def assigned(config: DevicesConfig, num_clients: int, seed: int) -> Ints:
    """``(N,)`` number of each client's class of devices.

    Counts are the shares by largest remainder; who belongs to which class is drawn.
    """
    if not isinstance(config, ProfilesConfig):
        return np.zeros(num_clients, dtype=np.int64)
    wanted = np.array([entry.share for entry in config.profiles]) * num_clients
    counts = np.floor(wanted + 1e-6).astype(np.int64)
    order = np.argsort(counts - wanted, kind="stable")  # largest remainder first
    counts[order[: num_clients - counts.sum()]] += 1
    kinds = np.repeat(np.arange(len(counts)), counts)
    return numpy_rng(seed, "devices").permutation(kinds)


class Fleet:
    """The devices of all clients.

    Args:
        config: The ``devices:`` block.
        num_clients: Registered clients.
        seed: Seed of the run.
        folder: Where relative paths of traces start.

    Attributes:
        names: ``(P,)`` names of the classes.
        kind: ``(N,)`` class of each client; :attr:`config` has its profile and variant under the
            same number.
        always: Whether everybody is there all the time.
        forms: ``(P,)`` form of the model that each class runs; None: all run the full one.

    Raises:
        UserError: A trace file cannot be used.
    """

    def __init__(self, config: ProfilesConfig, num_clients: int, seed: int, folder: Path) -> None:
        self.config = config
        self.num_clients = num_clients
        self.names = device_names(config)
        self.kind = assigned(config, num_clients, seed)
        profiles = [entry.profile for entry in config.profiles]
        self._rates = {
            "compute": np.array([p.compute for p in profiles]),
            "inference": np.array([p.inference or p.compute for p in profiles]),
            "uplink": np.array([p.uplink for p in profiles]),
            "downlink": np.array([p.downlink for p in profiles]),
        }
        self._dropout = np.array([entry.dropout for entry in config.profiles])
        self._factors = self._spread(seed)
        self.forms: list[Form] | None = None
        self.always = all(isinstance(e.availability, AlwaysConfig) for e in config.profiles)
        self._windows = [
            self._availability(number, entry, seed, folder)
            for number, entry in enumerate(config.profiles)
        ]

    def _spread(self, seed: int) -> dict[str, Times] | None:
        """``(N,)`` log-normal factors on compute and on both directions of the link, if any."""
        sigmas = [
            (e.profile.compute_sigma, e.profile.bandwidth_sigma) for e in self.config.profiles
        ]
        if not np.any(sigmas):
            return None
        normal = numpy_rng(seed, "device-spread").standard_normal((self.num_clients, 2))
        factors = np.exp(normal * np.array(sigmas)[self.kind])
        return {"compute": factors[:, 0], "link": factors[:, 1]}

    def _availability(
        self, number: int, entry: DeviceConfig, seed: int, folder: Path
    ) -> Availability:
        wanted = entry.availability
        if isinstance(wanted, DiurnalConfig):
            shift = numpy_rng(seed, "diurnal", number).standard_normal(self.num_clients)
            opens = wanted.start + wanted.jitter * shift
            return Diurnal(opens, wanted.hours, self.config.start_hour)
        if isinstance(wanted, TraceConfig):
            rank = np.cumsum(self.kind == number) - 1
            return read_trace(wanted.path, folder, rank)
        return Always()

    def rate(self, what: str, clients: Sequence[int] | Ints) -> Times:
        """``(C,)`` multiply-adds (``compute``, ``inference``) or bits (``uplink``, ``downlink``)
        per second."""
        found: Times = self._rates[what][self.kind[clients]]
        if self._factors is None:
            return found
        part = "link" if what.endswith("link") else "compute"
        return found * self._factors[part][clients]

    def dropout(self, client: int) -> float:
        """Chance that a client fails on the way."""
        return float(self._dropout[self.kind[client]])

    def name(self, client: int) -> str:
        """Name of a client's class of devices."""
        return self.names[int(self.kind[client])]

    def adopt(self, forms: list[Form] | None) -> None:
        """Take over what was chosen; devices that do not train are never there."""
        self.forms = forms
        if forms is not None and not all(form.config.trains for form in forms):
            self.always = False

    def form(self, client: int) -> Form | None:
        """The form of the model that a client runs; None: the full one."""
        return None if self.forms is None else self.forms[int(self.kind[client])]

    def variant(self, client: int) -> str:
        """What tables call that form."""
        form = self.form(client)
        return "full" if form is None else form.title

    def until(self, client: int, sec: float) -> float:
        """How long a client stays from ``sec`` on; -inf: it is away."""
        windows = self._windows[self.kind[client]]
        return float(windows.until(np.array([client]), sec)[0])

    def following(self, sec: float) -> Times:
        """``(N,)`` the first time from ``sec`` on at which each client is there; inf: never."""
        found = np.empty(self.num_clients)
        for number, windows in enumerate(self._windows):
            members = np.flatnonzero(self.kind == number)
            if self.forms is not None and not self.forms[number].config.trains:
                found[members] = np.inf
            else:
                found[members] = windows.following(members, sec)
        return found


def fleet_of(config: DevicesConfig, num_clients: int, seed: int, folder: Path) -> Fleet | None:
    """The devices of a run; None where all are equal and no clock runs."""
    if isinstance(config, ProfilesConfig):
        return Fleet(config, num_clients, seed, folder)
    return None
