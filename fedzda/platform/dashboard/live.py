"""What changes while a page is open, as server-sent events (WHATWG HTML, section 9.2).

The files of a run are looked at once a second; something is sent only when it is new. A run is read
from its folder alone, so it may belong to any process, on any machine that shares the folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from anyio.to_thread import run_sync

from fedzda.platform.dashboard.card import LIVE
from fedzda.platform.dashboard.index import RunIndex
from fedzda.platform.dashboard.pages.run import stand
from fedzda.platform.dashboard.pages.runs import changes

RUN_PAUSE_SEC = 1.0
LIST_PAUSE_SEC = 2.0
QUIET_SEC = 15.0
"""After so long without news a comment is sent, which shows a lost connection to both ends."""
_COMMENT = ": nothing new\n\n"
Over = Callable[[], Awaitable[bool]]
"""Whether nobody listens any more, or the server is to stop."""


async def run_events(index: RunIndex, run: str, over: Over) -> AsyncIterator[str]:
    """Where one run stands, until it ends: ``message`` events, then one ``end``."""

    def look() -> dict[str, Any]:
        card = index.card(run)
        return {"state": "removed"} if card is None else stand(card, time.time())

    async for state in _news(look, RUN_PAUSE_SEC, over, ignored="left"):
        if state is None:
            yield _COMMENT
        elif state["state"] in LIVE:
            yield event(state)
        else:
            if "sentence" in state:
                yield event(state)
            yield event({}, "end")
            return


async def list_events(index: RunIndex, over: Over) -> AsyncIterator[str]:
    """Runs of the list that changed: ``message`` events with their cells.

    The first has all runs: the page may be older than the stream, which ends while it is hidden.
    """
    known: dict[str, Any] = {}

    def look() -> dict[str, Any]:
        return changes(index.cards(), time.time())

    async for found in _news(look, LIST_PAUSE_SEC, over):
        if found is None:
            yield _COMMENT
            continue
        yield event({"runs": {i: cells for i, cells in found.items() if known.get(i) != cells}})
        known = found


async def _news(
    look: Callable[[], dict[str, Any]], pause_sec: float, over: Over, ignored: str = ""
) -> AsyncIterator[dict[str, Any] | None]:
    """What ``look`` finds whenever it differs from before (but for one key); None now and then."""
    last: dict[str, Any] | None = None
    quiet = 0.0
    while not await over():
        found = await run_sync(look)
        told = {key: value for key, value in found.items() if key != ignored}
        if told != last:
            last, quiet = told, 0.0
            yield found
        elif quiet >= QUIET_SEC:
            quiet = 0.0
            yield None
        quiet += pause_sec
        await anyio.sleep(pause_sec)


def event(content: dict[str, Any], name: str = "message") -> str:
    """One event. JSON has no line breaks, which would end it early."""
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"
