"""What the list shows of a run, from its small files: cheap enough for a thousand runs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.cli.watch import state_of
from fedzda.platform.dashboard.guard import check_folder
from fedzda.platform.report.data import main_metric
from fedzda.platform.report.load import RunFiles, load_yaml

_BLOCKS = ("strategy", "data", "model")
_SCALARS = ("name", "seed", "rounds")
_PLAIN = re.compile(r"[A-Za-z0-9_./:-]+(?: [A-Za-z0-9_./:-]+)*")
_TAIL_BYTES = 262_144
"""How much of the end of rounds.jsonl is searched for the last evaluated round."""
LIVE = ("starting", "running")
"""States of a run that goes on."""


@dataclass(frozen=True)
class RunCard:
    """One run in the list.

    Attributes:
        id: The folder below the root, with slashes: what addresses name a run by.
        path: The folder.
        head: ``name``, ``seed``, ``rounds`` and the names of ``strategy``, ``data`` and ``model``.
        status: ``status.json``.
        beat: When ``status.json`` was last touched, seconds since 1970; None without one.
        summary_state: The state in ``summary.json``, if there is one.
        started: When the run was started, ISO 8601; empty if unknown.
        metric: What the figures are of.
        figures: Fairness figures of the last evaluated round; empty before the first.
        problem: Why the run cannot be shown; empty if it can.
    """

    id: str
    path: Path
    head: dict[str, str] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    beat: float | None = None
    summary_state: str = ""
    started: str = ""
    metric: str = "accuracy"
    figures: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def name(self) -> str:
        """The name in the configuration, else the folder's."""
        return self.head.get("name") or self.path.name

    @property
    def rounds(self) -> tuple[int, int | None]:
        """Rounds done, and planned if known."""
        planned = self.status.get("rounds") or self.head.get("rounds")
        done = self.status.get("round")
        return _whole(done) or 0, _whole(planned)

    @property
    def seed(self) -> int | None:
        """The seed, if known."""
        return _whole(self.head.get("seed"))

    def state(self, now: float) -> str:
        """The state at a time (seconds since 1970): ``killed`` for a run without a sign of life."""
        if self.problem:
            return "unreadable"
        written = self.status.get("state")
        if not isinstance(written, str):
            return self.summary_state or "unknown"
        return state_of({"state": written, "age": max(0.0, now - (self.beat or 0.0))})

    def left_sec(self, now: float) -> float | None:
        """Seconds until the run is expected to end; None if it does not say."""
        eta, at = self.status.get("eta"), self.status.get("time")
        if not isinstance(eta, int | float) or not isinstance(at, int | float):
            return None
        return max(0.0, at + eta - now)


def read_card(id_: str, path: Path, root: Path) -> RunCard:
    """Read a run; a damaged or refused one becomes a card that says so."""
    try:
        check_folder(path, root)
        head = config_head((path / "config.yaml").read_text(encoding="utf-8"))
        status, beat = _status(path / "status.json")
        summary, meta = _json(path / "summary.json"), _json(path / "meta.json")
        metric, figures = _figures(path, summary)
    except (UserError, OSError, ValueError) as error:
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return RunCard(id_, path, problem=said)
    return RunCard(
        id=id_,
        path=path,
        head=head,
        status=status,
        beat=beat,
        summary_state=str(summary.get("state") or ""),
        started=str(meta.get("started") or ""),
        metric=metric,
        figures=figures,
    )


def config_head(text: str) -> dict[str, str]:
    """Name, seed, rounds, and the names of strategy, data and model of a ``config.yaml``.

    Run folders hold block style with an indentation of two, which a look at the line starts reads
    in a hundredth of the time of a YAML parser; any other form goes to the parser.

    Raises:
        UserError: It is no readable YAML.
    """
    found: dict[str, str] = {}
    block = ""
    for line in text.splitlines():
        if line[:1] not in ("", " ", "#", "-"):
            block, _, value = line.partition(":")
            if (block in _SCALARS and not _PLAIN.fullmatch(value.strip())) or (
                block in _BLOCKS and value.strip()
            ):
                return _parsed_head(text)
            if block in _SCALARS:
                found[block] = value.strip()
        elif block in _BLOCKS and line.startswith(("  name: ", "  target: ")):
            value = line.partition(": ")[2]
            if not _PLAIN.fullmatch(value):
                return _parsed_head(text)
            found.setdefault(block, value)
    return found


def _parsed_head(text: str) -> dict[str, str]:
    import yaml

    try:
        config = load_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"config.yaml is not readable YAML: {error}.") from error
    found: dict[str, str] = {}
    for key in (*_SCALARS, *_BLOCKS):
        value = config.get(key) if isinstance(config, dict) else None
        if isinstance(value, dict):
            value = value.get("name") or value.get("target")
        if value is not None:
            found[key] = str(value)
    return found


def _status(path: Path) -> tuple[dict[str, Any], float | None]:
    return _json(path), path.stat().st_mtime if path.is_file() else None


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path.name} is not readable JSON: {error}.") from error
    return found if isinstance(found, dict) else {}


def _figures(path: Path, summary: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The main metric and its figures, from the summary or from the end of rounds.jsonl."""
    known = summary.get("metrics") or last_metrics(path / "rounds.jsonl")
    if not isinstance(known, dict) or not known:
        return "accuracy", {}
    name = main_metric(RunFiles(path, {}, {"metrics": known}, {}, {}, []))
    found = known.get(name)
    return name, found if isinstance(found, dict) else {}


def last_metrics(path: Path) -> dict[str, Any]:
    """Figures of the last evaluated round near the end of rounds.jsonl; empty if there is none."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().split(b"\n")
    for line in reversed(lines[1:] if size > _TAIL_BYTES else lines):
        try:
            row = json.loads(line)
        except ValueError:  # half a line, at the end of a run that is writing or was killed
            continue
        if isinstance(row, dict) and row.get("metrics"):
            found: dict[str, Any] = row["metrics"]
            return found
    return {}


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
