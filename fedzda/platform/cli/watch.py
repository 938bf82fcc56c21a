"""``fedzda watch``: where a run stands, read from its folder only."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fedzda.platform.cli.progress import figure, primary_metric
from fedzda.platform.cli.text import human_bytes, human_time, table

_PAUSE_SEC = 1.0
_ENDED = ("finished", "failed", "interrupted", "killed")


def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")],
    once: Annotated[
        bool, typer.Option("--once", help="Print the present state and leave.")
    ] = False,
) -> None:
    """Show where a run stands, until it ends.

    The run may belong to another process; only its folder is read.
    """
    from rich.console import Console

    folder = run_folder(run)
    console = Console(highlight=False, soft_wrap=True)
    if once:
        console.print(frame(folder), markup=False)
    elif console.is_terminal:
        _live(folder, console)
    else:
        _lines(folder, console)


def run_folder(path: str) -> Path:
    """The folder, if a run lies in it. Raises UserError otherwise."""
    from fedzda.base import UserError

    folder = Path(path)
    if (folder / "life.yaml").is_file():
        raise UserError(
            f"'{path}' is the folder of a life. Watch one of its stages, such as "
            f"'{folder / '<stage>'}', or look at it in 'fedzda dashboard {folder.parent}'."
        )
    if not (folder / "status.json").is_file():
        raise UserError(
            f"'{path}' is not a run folder: it has no status.json. "
            "'fedzda run' prints the folder of a run first."
        )
    return folder


def _live(folder: Path, console: Any) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(console=console, auto_refresh=False) as live:
        while True:
            state = state_of(read_status(folder))  # before the frame, so that the last one is true
            live.update(Text(frame(folder)), refresh=True)
            if state in _ENDED:
                return
            time.sleep(_PAUSE_SEC)


def _lines(folder: Path, console: Any) -> None:
    """Without a terminal: a frame for every change of round or state."""
    shown = None
    while True:
        status = read_status(folder)
        state = state_of(status)
        if (state, status["round"]) != shown:
            console.print(frame(folder), "", sep="\n", markup=False)
            shown = state, status["round"]
        if state in _ENDED:
            return
        time.sleep(_PAUSE_SEC)


def read_status(folder: Path) -> dict[str, Any]:
    """``status.json``, and as ``age`` the seconds since the last sign of life."""
    from fedzda.base import UserError

    path = folder / "status.json"
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"'{path}' is not readable JSON: {error}. {_way_out(folder)}") from error
    return {**status, "age": max(0.0, time.time() - path.stat().st_mtime)}


def _way_out(folder: Path) -> str:
    if (folder / "summary.json").is_file():
        return f"The run is finished; look at it with: fedzda report {folder}"
    return f"Go on with the run, which writes it anew: fedzda resume {folder}"


def state_of(status: dict[str, Any]) -> str:
    """The state that was written, or ``killed`` where a live run gives no sign of life."""
    from fedzda.platform.heartbeat import STALE_SEC

    state: str = status["state"]
    return "killed" if state not in _ENDED and status["age"] > STALE_SEC else state


def read_rounds(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``rounds.jsonl``; a last line that is only half there is left out."""
    from fedzda.platform.files import read_json_lines

    return read_json_lines(folder / "rounds.jsonl")


def frame(folder: Path) -> str:
    """One picture of the run, as text."""
    status, rows = read_status(folder), read_rounds(folder)
    lines = [("run", str(folder)), ("state", _state(status, folder))]
    if rows:
        lines += [*_metric(rows), ("seconds", _seconds(rows)), ("bytes", _bytes(rows))]
        lines.append(("clients", _clients(rows)))
    return table(lines)


def _state(status: dict[str, Any], folder: Path) -> str:
    state = state_of(status)
    parts = [state, f"round {status['round']} of {status['rounds']}"]
    if state == "running" and status["eta"] is not None:
        parts.append(f"ETA {human_time(status['eta'] + status['time'] - time.time())}")
    if status.get("stopped"):
        parts.append(f"stopped: {status['stopped']}")
    if state == "killed":
        parts.append(f"no sign of life for {human_time(status['age'])}")
    if state in _ENDED[1:]:
        parts.append(f"go on with: fedzda resume {folder}")
    return ", ".join(parts)


def _metric(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Mean and worst tenth of the last evaluated round."""
    last = next((row for row in reversed(rows) if row["metrics"]), None)
    name = primary_metric(last["metrics"]) if last else None
    if last is None or name is None:
        return []
    found = last["metrics"][name]
    text = f"mean {figure(found['mean'])}, worst 10 % {figure(found['worst10'])}"
    when = "" if last is rows[-1] else f" (round {last['round']})"
    return [(name, text + when)]


def _seconds(rows: list[dict[str, Any]]) -> str:
    """Seconds per round on average, and each part's share of them, the largest first."""
    total = sum(row["seconds"]["total"] for row in rows)
    shares = {
        part: sum(row["seconds"][part] for row in rows) / total if total else 0.0
        for part in rows[-1]["seconds"]
        if part != "total"
    }
    split = ", ".join(
        f"{part} {share:.0%}" for part, share in sorted(shares.items(), key=lambda item: -item[1])
    )
    return f"{total / len(rows):.2f} per round: {split}"


def _bytes(rows: list[dict[str, Any]]) -> str:
    down, up = (sum(row["bytes"][way] for row in rows) for way in ("down", "up"))
    return f"{human_bytes(down)} down, {human_bytes(up)} up"


def _clients(rows: list[dict[str, Any]]) -> str:
    failed = sum(row["clients"]["failed"] for row in rows)
    return f"{rows[-1]['clients']['sampled']} in the last round, {failed} lost to errors in all"
