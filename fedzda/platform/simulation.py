"""The Python API: build a simulation, run it, resume it.

>>> from fedzda import Simulation
>>> simulation = Simulation.build(config)              # doctest: +SKIP
>>> run = simulation.run()                             # doctest: +SKIP
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy

from fedzda.base import ImageSpec, RunError, UserError
from fedzda.platform import checkpoint as checkpoints
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.load import load_config
from fedzda.platform.data.dealing import check_cohort, check_columns, dealt, image_of
from fedzda.platform.data.federation import Federation
from fedzda.platform.devices.clock import VirtualClock
from fedzda.platform.devices.fleet import Fleet, fleet_of
from fedzda.platform.devices.forms import chosen_forms, with_forms
from fedzda.platform.devices.plans import form_plans, mean_traffic, trainers
from fedzda.platform.devices.running import clock_of
from fedzda.platform.devices.work import samples_seen
from fedzda.platform.engines.base import Engine, device_of, vectorises
from fedzda.platform.engines.calls import HandlerSpec
from fedzda.platform.engines.grid import EngineGrid, ErrorPolicy
from fedzda.platform.files import DISK_ERRORS
from fedzda.platform.finish import described, finish, write_data_artifacts
from fedzda.platform.groups import client_groups, positive_class
from fedzda.platform.heartbeat import beating
from fedzda.platform.lock import sole_player
from fedzda.platform.logs import log_to
from fedzda.platform.recorder import Recorder
from fedzda.platform.records import array_record
from fedzda.platform.rounds import RoundLoop, Totals
from fedzda.platform.runs import Run, RunFolder, load
from fedzda.platform.setting import Setting
from fedzda.platform.signals import terminated_like_interrupted
from fedzda.platform.start import check_start, starting_arrays
from fedzda.platform.state_codec import restore
from fedzda.platform.stopping import Stopping, StopState
from fedzda.platform.trackers.callback import check_installed, tracking

if TYPE_CHECKING:
    from torch import nn

_RUNTIME = "local"


def run(source: str | Path, /, callbacks: Sequence[Any] = (), **changes: Any) -> Run:
    """Run a YAML file or a shipped simulation from Python or a notebook.

    Args:
        source: File or shipped name.
        callbacks: Objects with optional ``start``, ``round``, ``finish``, ``abort`` methods, see
            docs/guides/trackers.md.
        **changes: Overrides; ``__`` stands for a dot: ``run("quickstart", rounds=5,
            data__partition__alpha=0.1)``.

    Raises:
        UserError: the configuration or the data is wrong.
        RunError: the simulation failed.
    """
    import json

    overrides = [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in changes.items()]
    loaded = load_config(source, overrides)
    simulation = Simulation.build(loaded.config, folder=loaded.folder, overrides=overrides)
    return simulation.run(callbacks)


class Simulation:
    """A checked simulation, ready to run. Made by :meth:`build`.

    Attributes:
        make_engine: Makes the engine in the place of the one that the configuration names; None:
            that one. A deployed simulation has SuperNodes there.
    """

    def __init__(
        self,
        config: SimulationConfig,
        federation: Federation,
        model: nn.Module,
        folder: Path,
        overrides: Sequence[str],
    ) -> None:
        self.config = config
        self.federation = federation
        self.model = model
        self.folder = folder
        self.overrides = list(overrides)
        self.make_engine: Callable[..., Engine] | None = None

    @classmethod
    def build(
        cls, config: SimulationConfig, folder: Path | None = None, overrides: Sequence[str] = ()
    ) -> Simulation:
        """Load and deal out the data, build model, task and strategy; only the cache is written.

        Args:
            config: A resolved configuration.
            folder: Folder for relative paths and plug-ins; left out: the working directory.
            overrides: Remembered in the run folder.

        Raises:
            UserError: data, partition, model, task or strategy do not fit together.
        """
        from fedzda.platform.parts import build_model, build_strategy, build_task

        folder = folder or Path.cwd()
        plugins.add_plugin_folder(folder, plain(config))
        check_installed(config.trackers)
        federation = dealt(config, folder)
        image = image_of(federation)
        check_cohort(config, federation)
        client_groups(config, federation)
        positive_class(config, federation.class_names)
        device_of(config.engine.device)
        model = build_model(config, image)
        task = build_task(config, image)
        check_columns(task.columns, federation)
        task.validate(model, image)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise UserError(
                "the model has no parameters that could be trained. Choose another one, or set "
                "requires_grad."
            )
        strategy = build_strategy(config)
        if hasattr(strategy, "check"):
            strategy.check(model)
        if hasattr(strategy, "check_cohort"):
            clients = federation.num_clients
            strategy.check_cohort(min(config.strategy.clients_per_round or clients, clients))
        made = cls(config, federation, model, folder, overrides)
        made.fleet  # noqa: B018 - reads the trace files, and finds forms, which may be wrong
        check_start(config, folder, federation, model)
        return made

    @cached_property
    def fleet(self) -> Fleet | None:
        """The clients' devices; None where all are equal.

        Raises:
            UserError: A trace file cannot be used, or the model has no form that was asked for.
        """
        config = self.config
        clients = self.federation.num_clients
        fleet = fleet_of(config.devices, clients, config.seed, self.folder)
        if fleet is not None:
            sizes = self.federation.sizes("train")
            fleet.adopt(chosen_forms(config, self.model, image_of(self.federation), sizes))
        return fleet

    def plan(self) -> dict[str, Any]:
        """What a run would do, for ``--dry-run``."""
        config = self.config
        clients = self.federation.num_clients
        able = trainers(self.fleet, clients)
        cohort = min(config.strategy.clients_per_round or len(able), len(able))
        sizes = self.federation.sizes("train")[able]
        seen = samples_seen(sizes, config.local).sum() / max(1, len(able))
        batches = np.ceil(sizes / config.local.batch_size).sum() / max(1, len(able))
        steps = config.local.steps or batches * config.local.epochs
        tensors = self.model.state_dict().values()
        model_bytes = sum(t.numel() * t.element_size() for t in tensors)
        up_bytes = model_bytes
        if config.uplink is not None:
            weights = list(self.model.parameters())
            up_bytes -= sum(p.numel() * p.element_size() for p in weights)
            up_bytes += config.uplink.encoded_bytes(sum(p.numel() for p in weights))
        received, sent = mean_traffic(self.fleet, model_bytes, up_bytes, config.uplink)
        return {
            "clients": clients,
            "cohort": cohort,
            "samples_per_round": round(cohort * seen),
            "steps_per_round": round(cohort * steps),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "bytes_down_per_round": round(cohort * received),
            "bytes_up_per_round": round(cohort * sent),
            "checkpoint_bytes": model_bytes,
            "forms": form_plans(self.fleet),
        }

    def run(self, callbacks: Sequence[Any] = (), path: Path | None = None) -> Run:
        """Run all rounds in a new run folder.

        Args:
            callbacks: See :func:`run`.
            path: The folder to make; left out: one under the configuration's ``output``.
        """
        folder = RunFolder.new(self.config) if path is None else RunFolder.at(path)
        try:
            folder.describe(self.config, self.folder, self.overrides)
            write_data_artifacts(folder, self.federation, self.config)
            with sole_player(folder.path):
                return self._play(folder, callbacks, None)
        except (UserError, OSError):
            if not checkpoints.newest_round(folder.checkpoints):
                shutil.rmtree(folder.path, ignore_errors=True)  # nothing in it to go on with
            raise

    @classmethod
    def resume(
        cls, run_dir: str | Path, rounds: int | None = None, callbacks: Sequence[Any] = ()
    ) -> Run:
        """Go on where the newest checkpoint of a run folder stands.

        Args:
            run_dir: The run folder.
            rounds: A new, larger number of rounds; everything else stays as it was. Where a rule
                of ``stop:`` ended the run, that rule is lifted.

        Raises:
            UserError: no run folder, nothing left to do, or another process is at it.
        """
        from fedzda.platform.resume import begin, reopen

        run = load(run_dir)
        with sole_player(run.path):
            config, folder, source, latest = reopen(run, rounds)
            simulation = cls.build(config, source)
            begin(config, folder, latest, changed=rounds is not None)
            if not described(folder):  # the run was ended while they were written
                write_data_artifacts(folder, simulation.federation, config)
            return simulation._play(folder, callbacks, latest)

    def _play(
        self, folder: RunFolder, callbacks: Sequence[Any], latest: checkpoints.Checkpoint | None
    ) -> Run:
        started = time.perf_counter()
        callbacks = [*callbacks, *tracking(self.config.trackers)]
        with log_to(folder.path / "run.log"), beating(folder.path / "status.json"):
            folder.status("starting", latest.round if latest else 0, self.config.rounds)
            for callback in callbacks:
                if hasattr(callback, "start"):
                    callback.start(self, folder.path)
            state, stopped = "failed", None
            engine = self._engine()
            try:
                engine.start()
                with terminated_like_interrupted():
                    loop = self._loop(engine, folder, callbacks, latest)
                    startup_sec = time.perf_counter() - started
                    first = latest.round + 1 if latest else min(1, self.config.rounds)
                    arrays = loop.play(self._initial(latest), first)
                    summary = finish(self, loop, folder, arrays, startup_sec)
                state, stopped = "finished", loop.stopping.state.reason
            except KeyboardInterrupt:
                state = "interrupted"
                raise
            except OSError as error:
                if error.errno not in DISK_ERRORS:
                    raise
                raise _unwritten(error, folder) from error
            finally:
                engine.stop()
                self._note_end(folder, state, stopped)
                if state != "finished":
                    _abort(callbacks, state)
        for callback in callbacks:
            if hasattr(callback, "finish"):
                callback.finish(summary)
        return Run(folder.path)

    def _note_end(self, folder: RunFolder, state: str, stopped: str | None) -> None:
        done = checkpoints.newest_round(folder.checkpoints)
        try:
            folder.status(state, done, self.config.rounds, stopped=stopped)
            folder.finish_meta(state)
        except OSError:  # the disk is full: the error to show is the one that ended the run
            if state == "finished":
                raise

    def _engine(self) -> Engine:
        config: Any = self.config.engine
        given = plain(with_forms(self.config, self.fleet.forms if self.fleet else None))
        spec = HandlerSpec(
            target=plugins.entry("runtimes", _RUNTIME).target,
            arguments={
                "config": given,
                "federation": str(self.federation.folder),
                "device": device_of(config.device),
            },
            plugin_folders=(str(self.folder.resolve()),) if plugins.names_a_module(given) else (),
        )
        make = self.make_engine or plugins.load("engines", config.name)
        engine: Engine = make(config, spec, self.config.seed, self.federation.num_clients)
        return engine

    def _setting(self, image: ImageSpec, engine: Engine, clock: VirtualClock | None) -> Setting:
        """The simulation as its strategy sees it."""
        weights = self.model.named_parameters()
        return Setting(
            config=with_forms(self.config, self.fleet.forms if self.fleet else None),
            num_clients=self.federation.num_clients,
            image=image,
            buffers=frozenset(name for name, _ in self.model.named_buffers()),
            compute=engine.map,
            sizes=self.federation.sizes("train"),
            clock=clock,
            frozen=frozenset(name for name, weight in weights if not weight.requires_grad),
        )

    def _loop(
        self,
        engine: Engine,
        folder: RunFolder,
        callbacks: Sequence[Any],
        latest: checkpoints.Checkpoint | None,
    ) -> RoundLoop:
        from fedzda.platform.parts import build_strategy, build_task

        image = image_of(self.federation)
        groups = client_groups(self.config, self.federation)
        recorder = Recorder(folder.clients, groups, self.fleet)
        policy = ErrorPolicy(self.config.on_client_error, self.config.min_success)
        states = latest.clients if latest else {}
        clock = clock_of(self.config, self.federation, self.fleet, self.model, engine)
        grid = EngineGrid(
            engine,
            self.federation.num_clients,
            states,
            recorder.observe,
            policy,
            vectorised=vectorises(self.config.engine),
            clock=clock,
        )
        strategy: Strategy = build_strategy(self.config)
        if hasattr(strategy, "bind"):
            strategy.bind(self._setting(image, engine, clock))
        task = build_task(self.config, image)
        better = {"loss": False, task.primary: task.higher_is_better}
        stopping = Stopping(self.config.stop, task.primary, better)
        if self.config.stop.metric is not None:
            known = engine.map(metric_names, [None])[0]
            if known is not None:
                stopping.check(known)
        loop = RoundLoop(
            self.config,
            strategy,
            grid,
            recorder,
            folder,
            stopping,
            callbacks,
            better,
            getattr(task, "means_only", ()),
        )
        done = latest.round if latest else -1
        recorder.truncate(done)
        folder.truncate_rounds(done)
        if latest:
            restore(strategy, latest.strategy)
            loop.totals = Totals(**latest.totals)
            stopping.state = StopState(**latest.stop)
            if clock:
                clock.load_state(latest.clock)
        return loop

    def _initial(self, latest: checkpoints.Checkpoint | None) -> ArrayRecord:
        if latest is None:
            return array_record(starting_arrays(self.config, self.folder, self.model))
        return array_record(latest.arrays)


def metric_names(handler: Any, _: None) -> list[str] | None:
    """A job for a worker: the metrics of an evaluated client, where they are known so early."""
    names: list[str] | None = handler.metric_names()
    return names


def _abort(callbacks: Sequence[Any], state: str) -> None:
    """Tell those who want to know that the run ended early."""
    for callback in callbacks:
        if hasattr(callback, "abort"):
            callback.abort(state)


def _unwritten(error: OSError, folder: RunFolder) -> RunError:
    done = checkpoints.newest_round(folder.checkpoints)
    return RunError(
        f"the files of the run cannot be written: {error.strerror}. What was done up to round "
        f"{done} is kept in {folder.path}: make room there and resume."
    )


__all__ = ["Simulation", "run"]
