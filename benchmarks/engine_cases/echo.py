"""fedzda with clients that send back what they got: everything but the training.

fedzda's own clients train or evaluate, so the benchmark brings a handler that does neither; round
loop, strategy, grid, engine and records are those of any simulation.
"""

from __future__ import annotations

from typing import Any

from engine_cases.job import Job, Outcome
from engine_cases.side_fedzda import BENCHMARKS, Stamps, seconds_per_part, shared_settings
from fedzda.platform import plugins
from fedzda.platform.config.load import from_dict
from fedzda.platform.engines.base import Engine
from fedzda.platform.engines.calls import Call, HandlerSpec, Reply
from fedzda.platform.records import Content
from fedzda.platform.simulation import Simulation


class EchoHandler:
    """What a worker runs instead of fedzda's client."""

    def handle(self, call: Call) -> Reply:
        """Send the arrays back, with the weight of one sample."""
        content = Content(dict(call.content.arrays), {"metrics": {"num-examples": 1}})
        return Reply(call.client, content, state=call.state)

    def handle_many(self, calls: list[Call]) -> list[Reply] | None:
        """One by one, as Flower does."""
        return None

    def rehearse(self) -> None:
        """Nothing is heavy."""

    def global_test(self, arrays: dict[str, Any], round_: int) -> dict[str, float]:
        """Nothing is tested at the end."""
        return {}


class EchoSimulation(Simulation):
    """A simulation whose workers echo."""

    def _engine(self) -> Engine:
        config: Any = self.config.engine
        spec = HandlerSpec("engine_cases.echo:EchoHandler", {}, (str(BENCHMARKS),))
        make = plugins.load("engines", config.name)
        engine: Engine = make(config, spec, self.config.seed, self.federation.num_clients)
        return engine


def settings(job: Job) -> dict[str, Any]:
    """The run's configuration; the data set only says how many clients there are."""
    floats = {"floats": job.workload.echo_floats}
    return {
        **shared_settings(job),
        "data": {"name": "digits", "clients": job.workload.clients, "test_fraction": 0.0},
        "model": {"target": "engine_cases.models:EchoModel", "args": floats},
    }


def main() -> None:
    """Run the job of the command line."""
    job, outcome = Job.from_command_line(), Outcome()
    simulation = EchoSimulation.build(from_dict(settings(job)), folder=BENCHMARKS)
    run = simulation.run([Stamps(outcome)])
    outcome.parts = seconds_per_part(run)
    outcome.samples = job.workload.cohort
    outcome.write(job, run.model().state_dict())


if __name__ == "__main__":
    main()
