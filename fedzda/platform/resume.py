"""Reopen a run folder to go on with it."""

from __future__ import annotations

from pathlib import Path

from fedzda.base import UserError
from fedzda.platform import checkpoint as checkpoints
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.files import write_text
from fedzda.platform.runs import Run, RunFolder


def reopen(
    run: Run, rounds: int | None
) -> tuple[SimulationConfig, RunFolder, Path, checkpoints.Checkpoint | None]:
    """Configuration, folder, source folder and newest checkpoint of a run that can go on.

    Raises:
        UserError: it is finished already, ``rounds`` is not larger, or a file of its past is gone.
    """
    source = run.source
    plugins.add_plugin_folder(source)
    config = run.config
    latest = checkpoints.load_latest(run.path / "checkpoints")
    done = latest.round if latest else 0
    finished = (run.path / "summary.json").exists()
    rule = latest.stop.get("rule") if latest else None
    if rounds is not None:
        config = _with_rounds(config, rounds, done, rule)
        if latest and rule:
            latest.stop |= {"rule": None, "reason": None}
    elif rule and finished:
        more = config.rounds if done < config.rounds else 2 * config.rounds
        raise UserError(
            f"run '{run.path}' was ended by stop.{rule} in round {done}. To go on without that "
            f"rule, give a number of rounds: fedzda resume {run.path} rounds={more}"
        )
    if done >= config.rounds and finished:
        raise UserError(
            f"run '{run.path}' has done all {config.rounds} rounds. "
            f"To go on, give a larger number: fedzda resume {run.path} rounds={2 * config.rounds}"
        )
    folder = RunFolder(run.path)
    _require_rows(folder, done)
    if rounds is not None:
        write_text(run.path / "config.yaml", dump(plain(config)))
    (run.path / "summary.json").unlink(missing_ok=True)
    return config, folder, source, latest


def _require_rows(folder: RunFolder, done: int) -> None:
    """Refuse a run whose figures of the rounds done are gone: report and summary would lack them.

    Raises:
        UserError: They are.
    """
    if done and not folder.rounds.is_file():
        rounds = "round 1 is" if done == 1 else f"rounds 1 to {done} are"
        raise UserError(
            f"run '{folder.path}' lacks the file {folder.rounds.name}, in which the figures of "
            f"{rounds} written down. Put it back, or begin a new run with 'fedzda run'."
        )


def _with_rounds(
    config: SimulationConfig, rounds: int, done: int, rule: str | None
) -> SimulationConfig:
    """``config`` with more rounds, and without the rule of ``stop:`` that ended the run."""
    if rounds <= done:
        raise UserError(f"rounds must be larger than the {done} rounds done, found {rounds}.")
    raw = plain(config)
    stop = raw["stop"] | ({rule: None} if rule else {})
    return from_dict({**raw, "rounds": rounds, "stop": stop})
