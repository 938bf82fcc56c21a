"""``fedzda validate``: numbered checks of a simulation, without running it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.platform.cli.text import Overrides, Source

if TYPE_CHECKING:
    import numpy as np

    from fedzda.base import StrictConfig
    from fedzda.platform.config import SimulationConfig
    from fedzda.platform.config.load import Loaded
    from fedzda.platform.data.federation import Federation


def validate(
    source: Source,
    overrides: Overrides = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Build the model as well and try it on the data.")
    ] = False,
) -> None:
    """Check a simulation without running it.

    Reads the file, checks keys and values, finds the components and the data, deals them out.
    """
    from fedzda.platform.config.load import find_source, load_config
    from fedzda.platform.config.yaml_loader import load_file
    from fedzda.platform.lifecycle.load import life_file

    changes = list(overrides or [])
    if (life := life_file(source)) is not None:
        from fedzda.platform.cli.life import validate_life

        validate_life(life, changes, deep)
        return
    with _check(1, "reads") as note:
        path, label = find_source(source)
        load_file(path, label)
        note.append(label)
    with _check(2, "keys and values") as note:
        loaded = load_config(source, changes)
        note.append(f"{len(loaded.origins)} values, {len(changes)} overridden")
    with _check(3, "components") as note:
        note.append(", ".join(_find_components(loaded.config)))
        _check_trackers(loaded.config)
    with _check(4, "data") as note:
        federation = _prepare(loaded)
        _check_files(loaded, federation)
        note.append(_describe_data(federation))
    with _check(5, "partition") as note:
        note.append(_describe_partition(federation) + _describe_phases(loaded.config, federation))
    if deep:
        with _check(6, "model fits the data") as note:
            note.append(_build(loaded))
    typer.echo(f"{label} is valid.")


@contextmanager
def _check(number: int, name: str) -> Iterator[list[str]]:
    """Print the outcome of one check; the block may append notes to what it is given."""
    notes: list[str] = []
    try:
        yield notes
    except Exception:
        typer.echo(f"{number}  {name:<20} FAILED")
        raise
    typer.echo(f"{number}  {name:<20} ok  {' '.join(notes)}".rstrip())


def _find_components(block: StrictConfig) -> list[str]:
    """The components that a configuration names, each one found (built-ins without importing).

    Raises:
        UserError: A ``target`` or a plug-in cannot be imported.
    """
    from fedzda.base import StrictConfig
    from fedzda.platform.config import slots

    found = []
    kinds = slots(type(block))
    for key in type(block).model_fields:
        inner = getattr(block, key)
        if key in kinds and inner is not None:
            found.append(_find(kinds[key].kind, inner))
        if isinstance(inner, StrictConfig):
            found += _find_components(inner)
    return found


def _find(kind: str, block: Any) -> str:
    from fedzda.base import UserError
    from fedzda.platform import plugins
    from fedzda.platform.config import TargetConfig

    if isinstance(block, TargetConfig):
        plugins.import_target(block.target)
        return block.target
    name: str = block.name
    target = plugins.entry(kind, name).target
    if target.startswith("fedzda."):
        module = target.partition(":")[0]
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{kind} '{name}' is incomplete: there is no module {module}.")
    else:
        plugins.import_target(target)
    return name


def _check_trackers(config: SimulationConfig) -> None:
    """Raise UserError unless every tracker is installed."""
    if config.trackers:
        from fedzda.platform.trackers.callback import check_installed  # imports torch

        check_installed(config.trackers)


def _check_files(loaded: Loaded, federation: Federation) -> None:
    """Read the files outside the data that the configuration names: traces, where a run starts.

    Raises:
        UserError: One is not there or is not what it should be.
    """
    import numpy as np

    from fedzda.platform.devices.config import ProfilesConfig, TraceConfig
    from fedzda.platform.devices.traces import read_trace

    devices = loaded.config.devices
    for entry in devices.profiles if isinstance(devices, ProfilesConfig) else []:
        if isinstance(entry.availability, TraceConfig):
            read_trace(entry.availability.path, loaded.folder, np.arange(federation.num_clients))
    if loaded.config.start_from is not None:
        from fedzda.platform.start import check_readable  # imports torch

        check_readable(loaded.config, loaded.folder)


def _prepare(loaded: Loaded) -> Federation:
    from fedzda.platform.data.federation import prepare

    return prepare(loaded.config.data, loaded.config.seed, loaded.folder)


def _describe_data(federation: Federation) -> str:
    samples = len(next(iter(federation.train.values())))
    parts = [f"{samples:,} samples to train on"]
    if federation.test:
        parts.append(f"{len(next(iter(federation.test.values()))):,} kept for the global test")
    if federation.image is not None:
        parts.append(f"images {'x'.join(map(str, federation.image.shape))}")
        parts.append(f"{federation.image.num_classes} classes")
    return ", ".join(parts)


def _describe_partition(federation: Federation) -> str:
    train, test = federation.sizes("train"), federation.sizes("test")
    return (
        f"{federation.num_clients:,} clients; per client {_span(train)} samples to train on, "
        f"{_span(test)} to test"
    )


def _describe_phases(config: SimulationConfig, federation: Federation) -> str:
    """Which classes come when; nothing without a scenario.

    Raises:
        UserError: The phases do not fit the classes or the rounds.
    """
    if config.scenario is None:
        return ""
    from fedzda.platform.scenario.schedule import check_rounds, schedule_of

    schedule = schedule_of(config.scenario, len(federation.class_names))
    check_rounds(schedule, config.rounds)
    new = [str(schedule.seen(p) - schedule.old(p)) for p in range(schedule.num_phases)]
    played = schedule.phase(config.rounds) + 1
    return f"; {played} of {len(new)} phases, with {', '.join(new)} classes"


def _span(sizes: np.ndarray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _build(loaded: Loaded) -> str:
    from fedzda.platform.simulation import Simulation

    simulation = Simulation.build(loaded.config, folder=loaded.folder, overrides=loaded.overrides)
    return f"{simulation.plan()['parameters']:,} parameters"
