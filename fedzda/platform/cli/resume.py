"""``fedzda resume``: go on with a run that ended early."""

from __future__ import annotations

from typing import Annotated

import typer

from fedzda.platform.cli.text import Quiet


def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[rounds=N]", help="A new, larger number of rounds."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Go on with a run from its newest checkpoint."""
    from fedzda.platform.cli.execute import closing_lines, resumable
    from fedzda.platform.cli.progress import Progress
    from fedzda.platform.lifecycle.runner import is_life

    if is_life(run):
        from fedzda.platform.cli.life import resume_life

        resume_life(run, changes or [], quiet)
        return
    rounds = parse_rounds(changes or [])
    from fedzda.platform.simulation import Simulation

    progress = Progress(quiet)
    with resumable(progress):
        done = Simulation.resume(run, rounds=rounds, callbacks=[progress])
    typer.echo(str(done.path) if quiet else "\n".join(closing_lines(done)))


def parse_rounds(changes: list[str]) -> int | None:
    """The number in ``rounds=N``. Raises UserError for anything else."""
    from fedzda.base import UserError
    from fedzda.platform.config.overrides import parse_override

    rounds = None
    for text in changes:
        parts, value = parse_override(text)
        if parts != ["rounds"]:
            raise UserError(
                f"resume takes only rounds=N (got '{text}'): a run goes on as it began. "
                "For other values start a new one with 'fedzda run'."
            )
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"'rounds' should be a whole number above 0 (got '{text}').")
        rounds = value
    return rounds
