"""MLflow: a local database or file store, or a server."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedzda.platform.trackers.base import TrackedRun, Tracker
from fedzda.platform.trackers.config import MlflowConfig

_TAG = "fedzda.run"
_MOST_PARAMS = 100
"""Parameters in one request, MLflow's limit."""
_LONGEST_PARAM = 500
"""Letters of a parameter's value that every store takes."""
_STATES = {"finished": "FINISHED", "interrupted": "KILLED"}


class Mlflow(Tracker):
    """An MLflow run, tagged with the name of the run folder, by which a resumed run finds it."""

    config: MlflowConfig

    def open(self, run: TrackedRun) -> None:
        """Begin a run with the configuration as parameters, or go on with the one of the folder."""
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before the import, which reads it
        uri = self.config.uri or f"sqlite:///{run.folder.parent.resolve() / 'mlflow.db'}"
        if uri.startswith("file:") or "://" not in uri:
            # MLflow refuses a file store, which it no longer develops, unless it is told twice.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):  # they announce the making of tables
            logging.getLogger(name).setLevel(logging.WARNING)
        self.client: Any = MlflowClient(tracking_uri=uri)
        experiment = self._experiment(run.folder.parent)
        found = self.client.search_runs([experiment], f"tags.`{_TAG}` = '{run.folder.name}'")
        if found:
            self.run_id = found[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            self.seen = int(found[0].data.metrics.get("round", 0))
            return
        made = self.client.create_run(
            experiment, run_name=run.folder.name, tags={_TAG: run.folder.name}
        )
        self.run_id, self.seen = made.info.run_id, 0
        params = [Param(key, value[:_LONGEST_PARAM]) for key, value in run.config.items()]
        for start in range(0, len(params), _MOST_PARAMS):
            self.client.log_batch(self.run_id, params=params[start : start + _MOST_PARAMS])

    def _experiment(self, output: Path) -> str:
        found = self.client.get_experiment_by_name(self.config.experiment)
        if found is not None:
            return str(found.experiment_id)
        place = None
        if self.config.uri is None:
            place = (output.resolve() / "mlflow-artifacts").as_uri()
        return str(self.client.create_experiment(self.config.experiment, artifact_location=place))

    def log(self, round_: int, values: Mapping[str, float]) -> None:
        """The numbers at step ``round_``; a round that MLflow has already is passed over."""
        if round_ > self.seen:
            self._metrics({**values, "round": float(round_)}, round_)

    def close(self, state: str, values: Mapping[str, float], rounds: int) -> None:
        """Final figures stand at the last round."""
        self._metrics(values, rounds)
        self.client.set_terminated(self.run_id, status=_STATES.get(state, "FAILED"))

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics=metrics)
