"""When devices are there. Times are virtual seconds since the start of the run.

Letters in names: C clients asked about.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedzda.platform.data.apportion import Ints

Times = npt.NDArray[np.float64]

_DAY_HOURS = 24.0
_SAME_SEC = 1e-4
"""Times closer than this are one: sums of hours and seconds are not exact."""


class Availability(Protocol):
    """Windows of time in which clients can take part."""

    def until(self, clients: Ints, sec: float) -> Times:
        """``(C,)`` end of the window that holds ``sec``; -inf for a client that is away."""
        ...

    def following(self, clients: Ints, sec: float) -> Times:
        """``(C,)`` the first time from ``sec`` on at which each client is there; inf: never."""
        ...


class Always:
    """No windows."""

    def until(self, clients: Ints, sec: float) -> Times:
        """See :class:`Availability`."""
        return np.full(len(clients), np.inf)

    def following(self, clients: Ints, sec: float) -> Times:
        """See :class:`Availability`."""
        return np.full(len(clients), sec)


class Diurnal:
    """One window a day.

    Args:
        opens: ``(num_clients,)`` hour at which each client's window opens, any real number.
        hours: Length of the window.
        start_hour: Hour of the day at virtual time 0.
    """

    def __init__(self, opens: Times, hours: float, start_hour: float) -> None:
        self.opens = opens
        self.hours = hours
        self.start_hour = start_hour

    def until(self, clients: Ints, sec: float) -> Times:
        """See :class:`Availability`."""
        if self.hours >= _DAY_HOURS:
            return np.full(len(clients), np.inf)
        left = (self.hours - self._since_opening(clients, sec)) * 3600
        return np.where(left > _SAME_SEC, sec + left, -np.inf)

    def following(self, clients: Ints, sec: float) -> Times:
        """See :class:`Availability`."""
        away = np.isneginf(self.until(clients, sec))
        wait = (_DAY_HOURS - self._since_opening(clients, sec)) * 3600
        return np.where(away, sec + wait, sec)

    def _since_opening(self, clients: Ints, sec: float) -> Times:
        """Hours since the last opening, 0 to 24."""
        hours: Times = np.mod(sec / 3600 + self.start_hour - self.opens[clients], _DAY_HOURS)
        return np.where(hours > _DAY_HOURS - _SAME_SEC / 3600, 0.0, hours)


class Trace:
    """Windows from a trace, repeated for ever. One that ends with the trace goes on in the first,
    if that opens at once.

    Args:
        starts: For each entry of the trace, ascending times at which windows open.
        ends: The same for their ends.
        periods: For each entry, the time after which it begins again.
        entry: ``(num_clients,)`` entry of each client.
    """

    def __init__(self, starts: list[Times], ends: list[Times], periods: Times, entry: Ints) -> None:
        self.entry = entry
        self.periods = periods
        self.first = np.cumsum([0, *map(len, starts)])
        self.starts = np.concatenate(starts)
        self.ends = np.concatenate(ends)
        # one ascending array for all entries, so that one search serves all clients
        self._span = float(periods.max()) + 1.0
        owner = np.repeat(np.arange(len(starts)), np.diff(self.first))
        self._keys = owner * self._span + self.starts

    def until(self, clients: Ints, sec: float) -> Times:
        """See :class:`Availability`."""
        entry, now, place = self._find(clients, sec)
        held = place >= self.first[entry]
        end = np.where(held, self.ends[np.maximum(place, 0)], -np.inf)
        stays = np.where(end > now + _SAME_SEC, sec - now + end, -np.inf)
        first = self.first[entry]
        goes_on = (self.starts[first] <= _SAME_SEC) & (end >= self.periods[entry] - _SAME_SEC)
        further = np.where(place == first, np.inf, self.ends[first])
        return stays + np.where(goes_on & (stays > -np.inf), further, 0.0)

    def following(self, clients: Ints, sec: float) -> Times:
        """See :class:`Availability`."""
        entry, now, place = self._find(clients, sec)
        again = place + 1 >= self.first[entry + 1]
        upcoming = np.where(again, self.first[entry], place + 1)
        wait = self.starts[upcoming] - now + np.where(again, self.periods[entry], 0.0)
        return np.where(np.isneginf(self.until(clients, sec)), sec + wait, sec)

    def _find(self, clients: Ints, sec: float) -> tuple[Ints, Times, Ints]:
        """Entry, time within its period, and last window that has opened, for each client."""
        entry = self.entry[clients]
        period = self.periods[entry]
        now = np.mod(sec, period)
        now = np.where(now > period - _SAME_SEC, 0.0, now)
        keys = entry * self._span + now + _SAME_SEC
        return entry, now, np.searchsorted(self._keys, keys, side="right") - 1
