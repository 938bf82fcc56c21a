"""Reopen a run folder to go on with it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform import checkpoint as checkpoints
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.files import write_text
from fedzda.platform.runs import Run, RunFolder

_log = logging.getLogger(__name__)


def reopen(
    run: Run, rounds: int | None
) -> tuple[SimulationConfig, RunFolder, Path, checkpoints.Checkpoint | None]:
    """Configuration, folder, source folder and newest checkpoint of a run that can go on.

    Nothing is written: :func:`begin` does that, once all parts are there.

    Raises:
        UserError: it is finished already, ``rounds`` is not larger, or a file of its past is gone.
    """
    source = run.source
    config = run.config
    latest = checkpoints.load_latest(run.path / "checkpoints")
    done = latest.round if latest else 0
    finished = (run.path / "summary.json").exists()
    rule = latest.stop.get("rule") if latest else None
    # lifted by an earlier resume, which ended before its first checkpoint
    lifted = rule is not None and getattr(config.stop, rule) is None
    if rounds is not None:
        config = _with_rounds(config, rounds, done, rule)
    elif rule and finished and not lifted:
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
    latest = _with_rows(folder, latest)
    # of the checkpoint that is gone on from, which need not be the newest
    if latest and (rule := latest.stop.get("rule")) and getattr(config.stop, rule) is None:
        latest.stop |= {"rule": None, "reason": None}
    return config, folder, source, latest


def begin(
    config: SimulationConfig,
    folder: RunFolder,
    latest: checkpoints.Checkpoint | None,
    *,
    changed: bool,
) -> None:
    """Write down that a run goes on: no summary any more, no checkpoint after ``latest``.

    Args:
        config: Its configuration.
        folder: Its folder.
        latest: What it goes on from.
        changed: The configuration is not the one in the folder.
    """
    if changed:
        write_text(folder.path / "config.yaml", dump(plain(config)))
    (folder.path / "summary.json").unlink(missing_ok=True)
    checkpoints.forget_after(folder.checkpoints, latest.round if latest else 0)


def _with_rows(
    folder: RunFolder, latest: checkpoints.Checkpoint | None
) -> checkpoints.Checkpoint | None:
    """The newest checkpoint up to which the figures of every round are written down.

    Lines may be lost with the power, or by hand. What stood in them stands nowhere else, so that
    report and summary would lack it; from an older checkpoint these rounds are played again.

    Raises:
        UserError: There is no such checkpoint.
    """
    if latest is None:
        return None
    lost = sorted(set(range(1, latest.round + 1)) - _rounds_written(folder))
    if not lost:
        return latest
    older = checkpoints.load_latest(folder.checkpoints, lost[0] - 1)
    rounds = _listed(lost)
    if older is None:
        how = "lacks lines of" if folder.rounds.is_file() else "lacks"
        raise UserError(
            f"run '{folder.path}' {how} the file {folder.rounds.name}, in which the figures of "
            f"{rounds} were written down, and has no checkpoint from before. Put the file back, "
            f"or begin anew: fedzda run {folder.path / 'config.yaml'}"
        )
    _log.warning(
        "%s has lost the figures of %s: going on from the checkpoint of round %d instead of "
        "that of round %d.",
        folder.rounds.name,
        rounds,
        older.round,
        latest.round,
    )
    return older


def _listed(rounds: list[int]) -> str:
    """For example ``round 3``, ``rounds 2 to 6`` or ``rounds 2, 5 and 6``."""
    first, last = rounds[0], rounds[-1]
    if first == last:
        return f"round {first}"
    if len(rounds) == last - first + 1:
        return f"rounds {first} to {last}"
    shown = [str(number) for number in rounds[:-1][:8]]
    return f"rounds {', '.join(shown)}{', …' if len(rounds) > 9 else ''} and {last}"


def _rounds_written(folder: RunFolder) -> set[int]:
    """Rounds with a whole line of figures."""
    found = set()
    text = folder.rounds.read_text(encoding="utf-8") if folder.rounds.is_file() else ""
    for line in text.splitlines():
        try:
            found.add(json.loads(line)["round"])
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return found


def _with_rounds(
    config: SimulationConfig, rounds: int, done: int, rule: str | None
) -> SimulationConfig:
    """``config`` with more rounds, and without the rule of ``stop:`` that ended the run."""
    if rounds <= done:
        raise UserError(f"rounds must be larger than the {done} rounds done, found {rounds}.")
    raw = plain(config)
    stop = raw["stop"] | ({rule: None} if rule else {})
    return from_dict({**raw, "rounds": rounds, "stop": stop})
