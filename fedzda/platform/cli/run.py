"""``fedzda run``: run a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedzda.platform.cli.text import Overrides, Quiet, Source, human_bytes, table

if TYPE_CHECKING:
    from fedzda.platform.config.load import Loaded
    from fedzda.platform.costs.forecast import Forecast
    from fedzda.platform.devices.plans import FormPlan


def run(
    source: Source,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, its cost and predicted time.")
    ] = False,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Two tiny rounds through everything, in a throw-away folder."),
    ] = False,
    quiet: Quiet = False,
    flower_app: Annotated[
        bool,
        typer.Option("--flower-app", help="FILE is the folder of a Flower app: run that."),
    ] = False,
    run_config: Annotated[
        str,
        typer.Option("--run-config", metavar="KEY=VALUE…", help="Changes for a Flower app."),
    ] = "",
) -> None:
    """Run a simulation, or all stages of the life of a model."""
    from fedzda.platform.config.load import load_config
    from fedzda.platform.lifecycle.load import life_file

    changes = list(overrides or [])
    _refuse(
        ("--dry-run", flower_app and dry_run, "does nothing for a Flower app: leave it out"),
        ("--fast", flower_app and fast, "does nothing for a Flower app: use --run-config"),
        ("--run-config", run_config and not flower_app, "is for Flower apps: add --flower-app"),
    )
    if flower_app:
        _run_flower_app(source, run_config, changes, quiet)
        return
    if (life := life_file(source)) is not None:
        from fedzda.platform.cli.life import run_life

        run_life(life, changes, dry_run=dry_run, fast=fast, quiet=quiet)
        return
    loaded = load_config(source, changes)
    if fast:
        from fedzda.platform.cli.fast import fast_overrides

        loaded = load_config(source, [*fast_overrides(loaded.config), *changes])
    if dry_run:
        _print_plan(loaded)
        return
    _run(loaded, quiet)


def _refuse(*rules: tuple[str, object, str]) -> None:
    """Raise UserError for options that the rest of the line makes pointless."""
    from fedzda.base import UserError

    problems = [f"{option} {why}." for option, broken, why in rules if broken]
    if problems:
        raise UserError(*problems)


def _run_flower_app(source: str, run_config: str, changes: list[str], quiet: bool) -> None:
    from fedzda.platform.cli.execute import closing_lines
    from fedzda.platform.cli.progress import Progress
    from fedzda.platform.flower.run import FlowerAppRun

    made = FlowerAppRun.build(Path(source), run_config, changes)
    progress = Progress(quiet)
    try:
        done = made.run([progress])
    finally:
        progress.close()
    typer.echo(str(done.path) if quiet else "\n".join(closing_lines(done)))


def _run(loaded: Loaded, quiet: bool) -> None:
    from fedzda.platform.cli.execute import closing_lines, resumable
    from fedzda.platform.cli.progress import Progress
    from fedzda.platform.simulation import Simulation

    simulation = Simulation.build(loaded.config, folder=loaded.folder, overrides=loaded.overrides)
    progress = Progress(quiet)
    with resumable(progress):
        done = simulation.run(callbacks=[progress])
    lines = closing_lines(done)
    typer.echo(str(done.path) if quiet else "\n".join(lines))


def _print_plan(loaded: Loaded) -> None:
    from fedzda.platform.costs.forecast import forecast
    from fedzda.platform.costs.rates import shipped_rates
    from fedzda.platform.data.portrait import measure
    from fedzda.platform.heterogeneity import sentence
    from fedzda.platform.simulation import Simulation

    config = loaded.config
    simulation = Simulation.build(config, folder=loaded.folder, overrides=loaded.overrides)
    plan = simulation.plan()
    typer.echo(f"{config.name}: {config.rounds} rounds, nothing was run.")
    typer.echo(table(_plan_rows(plan, config.rounds, config.checkpoint.keep), indent=2))
    if plan["forms"]:
        typer.echo("\nForms of the model; multiply-adds of a forward pass on one test sample:")
        typer.echo(table(_form_rows(plan["forms"]), indent=2))
    unlike = measure(simulation.federation, config.data, config.seed)
    typer.echo(f"How unlike the clients are: {sentence(unlike)}.")
    found = forecast(simulation, shipped_rates())
    if found is None:
        what = f"engine '{config.engine.name}'" if config.rounds else "a run that trains nothing"
        typer.echo(f"No prediction of the time for {what}.")
        return
    typer.echo("\nPredicted time if the machine does nothing else:")
    typer.echo(table(_time_rows(found), indent=2))
    typer.echo(
        f"A few real rounds with few clients were timed for it ({found.pilot_sec:.0f} s) and "
        f"thrown away; start-up, report and Ray's own costs were measured on {found.rates}."
    )


def _form_rows(forms: list[FormPlan]) -> list[tuple[str, ...]]:
    head = ("device", "clients", "variant", "trains", "parameters", "size", "multiply-adds")
    return [
        head,
        *(
            (
                own.device,
                f"{own.clients:,}",
                own.variant,
                "yes" if own.trains else "no",
                f"{own.parameters:,}",
                human_bytes(own.bytes),
                f"{own.macs:,}",
            )
            for own in forms
        ),
    ]


def _time_rows(found: Forecast) -> list[tuple[str, str, str]]:
    rows = [("", "all rounds", "last round")]
    for part, seconds in found.parts.items():
        last = found.last_round.get(part)
        rows.append((part, f"{seconds:.1f} s", "" if last is None else f"{last:.3f} s"))
    last_sec = sum(found.last_round.values())
    rows.append(("total", f"{found.total:.1f} s", f"{last_sec:.3f} s"))
    return [*rows, ("memory", human_bytes(found.memory_bytes), "about")]


def _plan_rows(plan: dict[str, Any], rounds: int, kept: int) -> list[tuple[str, str]]:
    down, up = plan["bytes_down_per_round"], plan["bytes_up_per_round"]
    return [
        ("clients", f"{plan['clients']:,}"),
        ("cohort", f"{plan['cohort']:,} per round"),
        ("parameters", f"{plan['parameters']:,}"),
        ("samples", f"{plan['samples_per_round']:,} per round"),
        ("gradient steps", f"{plan['steps_per_round']:,} per round over the cohort"),
        (
            "sent down to train",
            f"{human_bytes(down)} per round, {human_bytes(down * rounds)} in all",
        ),
        (
            "sent up from training",
            f"{human_bytes(up)} per round, {human_bytes(up * rounds)} in all",
        ),
        ("checkpoints", f"{human_bytes(plan['checkpoint_bytes'] * kept)} on disk"),
    ]
