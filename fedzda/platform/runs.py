"""Run folders: making one, and reading one back.

>>> run = fedzda.load("runs/…")                        # doctest: +SKIP
>>> run.clients[run.clients.metric == "accuracy"]      # doctest: +SKIP
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedzda.base import UserError
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.yaml_loader import dump, load_file
from fedzda.platform.files import (
    holds_runs,
    make_folder,
    read_json,
    read_json_lines,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

_PACKAGES = ("fedzda", "torch", "flwr", "ray", "numpy", "pandas", "pyarrow", "pydantic")


def config_hash(config: SimulationConfig) -> str:
    """Eight hex digits of everything in a configuration but its output folder."""
    content = {key: value for key, value in plain(config).items() if key != "output"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def new_folder(output: str, name: str, seed: int, digest: str) -> Path:
    """An empty folder under ``output`` whose name says what it is of and when it was made."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}_{name}_s{seed}_{digest}"
    root = Path(os.path.expandvars(output)).expanduser()
    make_folder(root, "output")
    attempt = 1
    while True:
        path = root / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            path.mkdir()
        except FileExistsError:  # another run was started in the same second
            attempt += 1
        else:
            return path


class RunFolder:
    """The folder of one run. Never reused, never overwritten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clients = path / "clients"
        self.checkpoints = path / "checkpoints"
        self.artifacts = path / "artifacts"
        self.rounds = path / "rounds.jsonl"

    @classmethod
    def new(cls, config: SimulationConfig) -> RunFolder:
        """An empty folder under ``config.output`` (relative to the working directory)."""
        return cls(new_folder(config.output, config.name, config.seed, config_hash(config)))

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """An empty folder of this name. Raises UserError if there is something already."""
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise UserError(f"'{path}' exists already. A run needs a folder of its own.") from None
        return cls(path)

    def describe(self, config: SimulationConfig, folder: Path, overrides: list[str]) -> None:
        """Write what the run is: configuration, overrides, provenance.

        Args:
            config: The resolved configuration.
            folder: Folder of the YAML file, where ``resume`` finds plug-ins and data again.
            overrides: What was typed after the file's name.
        """
        for part in (self.clients, self.checkpoints, self.artifacts):
            part.mkdir()
        write_text(self.path / "config.yaml", dump(plain(config)))
        write_text(self.path / "overrides.txt", "".join(f"{item}\n" for item in overrides))
        write_json(self.path / "meta.json", provenance(folder))

    def status(
        self,
        state: str,
        round_: int,
        rounds: int,
        eta_sec: float | None = None,
        stopped: str | None = None,
    ) -> None:
        """Replace status.json; its time of change is the run's heartbeat.

        Args:
            stopped: Why a finished run ended before its last round.
        """
        value = {
            "state": state,
            "round": round_,
            "rounds": rounds,
            "eta": eta_sec,
            "stopped": stopped,
        }
        write_json(self.path / "status.json", {**value, "time": time.time(), "pid": os.getpid()})

    def finish_meta(self, exit_reason: str) -> None:
        """Note when and why the run ended."""
        meta = read_json(self.path / "meta.json")
        meta["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        meta["exit_reason"] = exit_reason
        write_json(self.path / "meta.json", meta)

    def truncate_rounds(self, round_: int) -> None:
        """Drop the lines of rounds after ``round_``, and a half-written last line."""
        if not self.rounds.exists():
            return
        kept = []
        for line in self.rounds.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if row["round"] <= round_:
                kept.append(line + "\n")
        write_text(self.rounds, "".join(kept))


def provenance(folder: Path) -> dict[str, Any]:
    """Versions, machine and times, as ``meta.json`` keeps them."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished": None,
        "exit_reason": None,
        "source_folder": str(folder.resolve()),
        "commit": _commit(folder),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": _versions(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    """Of the packages that decide the figures; to look takes 5 ms each."""
    return {name: version(name) for name in _PACKAGES}


def _commit(folder: Path) -> str | None:
    """The commit of the repository around the YAML file, marked if it has changes."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


class Run:
    """A run folder, read. Tables are read when first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> SimulationConfig:
        """The resolved configuration."""
        from fedzda.platform import plugins
        from fedzda.platform.config.load import from_dict

        raw = load_file(self.path / "config.yaml").data
        plugins.add_plugin_folder(self.source, raw)
        if isinstance(raw, dict) and "flower_app" in raw:
            raise UserError(
                f"run '{self.path}' is one of a Flower app, whose server keeps its own state: it "
                "cannot be resumed. Run the app again."
            )
        return from_dict(raw, source=str(self.path / "config.yaml"))

    @property
    def meta(self) -> dict[str, Any]:
        """Versions, machine, times, exit reason."""
        value: dict[str, Any] = read_json(self.path / "meta.json")
        return value

    @property
    def source(self) -> Path:
        """Folder of the YAML file; the run folder itself where that is gone or not known."""
        noted = self.meta.get("source_folder")
        folder = Path(noted) if isinstance(noted, str) else self.path
        return folder if folder.is_dir() else self.path

    @property
    def status(self) -> dict[str, Any]:
        """State, round, remaining seconds."""
        value: dict[str, Any] = read_json(self.path / "status.json")
        return value

    @property
    def summary(self) -> dict[str, Any]:
        """``summary.json``. Raises UserError while the run is not finished."""
        path = self.path / "summary.json"
        if not path.exists():
            raise UserError(
                f"run '{self.path}' has no summary: its state is '{self.status['state']}'. "
                f"Finish it with: fedzda resume {self.path}"
            )
        value: dict[str, Any] = read_json(path)
        return value

    @property
    def rounds(self) -> pd.DataFrame:
        """One row per round; nested figures as dotted columns."""
        import pandas as pd

        return pd.json_normalize(read_json_lines(self.path / "rounds.jsonl"))

    @property
    def clients(self) -> pd.DataFrame:
        """One row per (round, phase, client, split, stage, metric)."""
        from fedzda.platform.recorder import read_clients

        table: pd.DataFrame = read_clients(self.path / "clients")
        return table

    def model(self) -> nn.Module:
        """The trained global model of the newest checkpoint, in eval mode."""
        from fedzda.platform import checkpoint
        from fedzda.platform.parts import model_from

        latest = checkpoint.load_latest(self.path / "checkpoints")
        if latest is None:
            raise UserError(f"run '{self.path}' has no readable checkpoint yet.")
        return model_from(self.config, self.source, latest.arrays)


def load(path: str | Path) -> Run:
    """Read a run folder. Raises UserError if it is none."""
    folder = Path(path)
    if not (folder / "config.yaml").is_file() or not (folder / "meta.json").is_file():
        if around := holds_runs(folder):
            raise UserError(f"{around}. Name one of them.")
        raise UserError(
            f"'{folder}' is not a run folder: it has no config.yaml and meta.json. "
            "Run folders are printed by 'fedzda run' and lie under its output folder."
        )
    return Run(folder)
