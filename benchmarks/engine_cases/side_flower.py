"""The Flower app on Flower's stock simulation engine, or the same app on fedzda's engine.

Flower's engine gets actors of one CPU each, and a share of a GPU where the side says so; the app is
called in the deprecated Python form, which runs the same engine as ``flwr run``.
"""

from __future__ import annotations

from typing import Any

from flwr.simulation.run_simulation import run_simulation

from engine_cases import flower_app
from engine_cases.job import Job


def stock(job: Job) -> None:
    """Flower's own engine."""
    actors = int(job.options["workers"])
    run_simulation(
        server_app=flower_app.server,
        client_app=flower_app.echo if job.workload.kind == "echo" else flower_app.trainer,
        num_supernodes=job.workload.clients,
        backend_config={
            "client_resources": {"num_cpus": 1.0, "num_gpus": job.options.get("gpus", 0.0)},
            "init_args": {"num_cpus": actors, "include_dashboard": False},
        },
    )


def ours(job: Job) -> None:
    """fedzda's engine."""
    from fedzda.platform import plugins
    from fedzda.platform.flower.app import run_apps

    block: dict[str, Any] = job.options["engine"]
    config = plugins.config_class("engines", block["name"])
    run_apps(
        "engine_cases.flower_app:server",
        f"engine_cases.flower_app:{'echo' if job.workload.kind == 'echo' else 'trainer'}",
        job.workload.clients,
        engine=config.model_validate({"device": "cpu", **block}),
        seed=job.seed,
    )


def main() -> None:
    """Run the job of the command line."""
    job = Job.from_command_line()
    if "engine" in job.options:
        ours(job)
    else:
        stock(job)


if __name__ == "__main__":
    main()
