"""fedzda through its public Python API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine_cases.data import data_block
from engine_cases.job import Job, Outcome
from engine_cases.tensors import load_npz
from fedzda.platform.config.load import from_dict
from fedzda.platform.runs import Run
from fedzda.platform.simulation import Simulation

BENCHMARKS = Path(__file__).resolve().parents[1]


class Stamps:
    """Notes the time at the end of every round, all bookkeeping of the round included."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def round(self, row: dict[str, Any], rounds: int) -> None:
        """A callback of the round loop."""
        self.outcome.stamp()


def shared_settings(job: Job) -> dict[str, Any]:
    """What training and echo have in common. Nothing is evaluated; one checkpoint, at the end."""
    workload = job.workload
    return {
        "name": f"bench-{workload.name}",
        "seed": job.seed,
        "rounds": job.rounds,
        "strategy": {"name": job.options["strategy"], "clients_per_round": workload.cohort},
        "engine": {"device": "cpu", **job.options["engine"]},
        "evaluate": {"every": 0},
        "checkpoint": {"every": job.rounds},
        "report": False,
        "output": job.out,
    }


def settings(job: Job) -> dict[str, Any]:
    """The run's configuration."""
    workload = job.workload
    model_class = {"lenet": "LeNet", "simple-cnn": "SimpleCNN", "small": "SmallNet"}
    return {
        **shared_settings(job),
        "data": data_block(workload, Path(job.data).parent),
        "model": {"target": f"engine_cases.models:{model_class[workload.model]}"},
        "local": {
            "epochs": 1,
            "batch_size": workload.batch_size,
            "optimizer": {"name": "sgd", "lr": workload.lr},
        },
    }


def seconds_per_part(run: Run) -> dict[str, float]:
    """Medians over the timed rounds, as the run folder tells them."""
    rows = run.rounds.iloc[1:-1]
    parts = [name for name in rows.columns if name.startswith("seconds.")]
    return {name.partition(".")[2]: float(rows[name].median()) for name in parts}


def last_round(run: Run, outcome: Outcome) -> None:
    """Work done in the last round, from the client table."""
    table = run.clients
    steps = table[(table["round"] == table["round"].max()) & (table.metric == "steps")]
    outcome.steps = int(steps.value.sum())
    outcome.samples = int(steps.num_examples.sum())


def main() -> None:
    """Run the job of the command line."""
    job, outcome = Job.from_command_line(), Outcome()
    simulation = Simulation.build(from_dict(settings(job)), folder=BENCHMARKS)
    load_npz(simulation.model, Path(job.data, "initial.npz"))
    run = simulation.run([Stamps(outcome)])
    last_round(run, outcome)
    outcome.parts = seconds_per_part(run)
    outcome.write(job, run.model().state_dict())


if __name__ == "__main__":
    main()
