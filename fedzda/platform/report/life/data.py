"""What the page of a life shows, gathered from the folders of its stages."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.files import read_json
from fedzda.platform.heartbeat import STALE_SEC
from fedzda.platform.report import load
from fedzda.platform.report.data import RunData, collect
from fedzda.platform.report.load import load_yaml

FILE, LEDGER = "life.yaml", "stages.json"


@dataclass(frozen=True)
class DeviceFigures:
    """What a class of devices got in a stage; ``size`` is that of its form of the model."""

    variant: str
    size: float | None
    clients: int
    mean: float | None
    worst10: float | None


@dataclass(frozen=True)
class StageData:
    """One stage.

    Attributes:
        number: From 1.
        name: Its name.
        about: What happens in it.
        path: Its folder, which may not be there yet.
        state: ``waiting``, ``running``, ``failed`` or ``finished``.
        what: Strategy and rounds, or the command.
        seconds: Over all attempts.
    """

    number: int
    name: str
    about: str
    path: Path
    state: str
    what: str
    seconds: float

    @cached_property
    def run(self) -> RunData | None:
        """The run, where the stage is a finished simulation."""
        if not (self.path / "summary.json").is_file():
            return None
        return collect(self.path)

    @cached_property
    def report(self) -> dict[str, Any]:
        """``report.json`` of a command."""
        file = self.path / "report.json"
        found: dict[str, Any] = read_json(file) if file.is_file() else {}
        return found

    @property
    def sheet(self) -> Path | None:
        """The last picture of images that were made without data."""
        made = sorted((self.path / "artifacts").glob("samples-round-*.png"))
        files = [*made, *self.path.glob("samples.png")]
        return files[-1] if files else None

    @cached_property
    def devices(self) -> dict[str, DeviceFigures]:
        """Class of devices to what it got, in the order of the configuration."""
        if self.run is None:
            return {}
        summary, metric = self.run.folder.summary, self.run.metric.name
        forms = _forms(self.path)
        costs = summary.get("variants") or {}
        found = {}
        for name, figures in (summary.get("by_device") or {}).items():
            own, form = figures.get(metric) or {}, forms.get(name, "full")
            found[name] = DeviceFigures(
                form,
                (costs.get(form) or {}).get("bytes"),
                int(own.get("n") or 0),
                own.get("mean"),
                own.get("worst10"),
            )
        return found


@dataclass(frozen=True)
class LifeData:
    """A life, read from its folder.

    Attributes:
        path: The folder.
        name: Its name.
        seed: Its seed.
        state: What ``status.json`` says.
        started: When it was begun, ISO 8601.
        stages: All stages, those that wait included.
    """

    path: Path
    name: str
    seed: int
    state: str
    started: str
    stages: list[StageData]

    @property
    def seconds(self) -> float:
        """Of all stages together."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def done(self) -> int:
        """Finished stages."""
        return sum(stage.state == "finished" for stage in self.stages)


def collect_life(path: Path) -> LifeData:
    """Read the folder of a life. Raises UserError if it is none, or a file is damaged."""
    if not (path / FILE).is_file():
        raise UserError(f"'{path}' is not the folder of a life: it has no {FILE}.")
    try:
        config = load_yaml((path / FILE).read_text(encoding="utf-8"))
        ledger, status, meta = (
            read_json(path / name) if (path / name).is_file() else {}
            for name in (LEDGER, "status.json", "meta.json")
        )
        blocks = config["stages"].items()
        stages = [
            _stage(path, number, name, block, ledger.get(name, {}))
            for number, (name, block) in enumerate(blocks, 1)
        ]
        name, seed = str(config["name"]), int(config.get("seed", 0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"a file of the life '{path}' is damaged ({type(error).__name__}: {error})."
        ) from error
    state, started = _state(path, status), str(meta.get("started") or "")
    if state != "running":
        stages = [replace(s, state=state) if s.state == "running" else s for s in stages]
    return LifeData(path, name, seed, state, started, stages)


def _state(path: Path, status: dict[str, Any]) -> str:
    """What ``status.json`` says; ``killed`` if it has been without a sign of life for long."""
    state = str(status.get("state") or "unknown")
    if state == "running" and time.time() - (path / "status.json").stat().st_mtime > STALE_SEC:
        return "killed"
    return state


def _stage(
    life: Path, number: int, name: str, block: dict[str, Any], entry: dict[str, Any]
) -> StageData:
    what = entry.get("what") or ("simulation" if block.get("simulation") else block["command"])
    return StageData(
        number=number,
        name=name,
        about=str(block.get("about") or ""),
        path=life / name,
        state=str(entry.get("state") or "waiting"),
        what=str(what),
        seconds=float(entry.get("seconds") or 0.0),
    )


def _forms(run: Path) -> dict[str, str]:
    """Class of devices to the form of the model that its clients were tested on."""
    table = load.client_table(run)
    if table is None:
        return {}
    columns = table.to_table(columns=["device", "variant"])
    pairs = columns.group_by(["device", "variant"]).aggregate([])
    return dict(zip(pairs["device"].to_pylist(), pairs["variant"].to_pylist(), strict=True))
