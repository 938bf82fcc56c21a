"""``fedzda check``: does a component of one's own keep the rules?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedzda.platform.conformance import Finding


def check(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="For example my_models:Net.")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="model, task, dataset, partitioner, shift, strategy, synthesizer or variant; "
            "else found out.",
        ),
    ] = None,
    args: Annotated[
        str, typer.Option("--args", metavar="YAML", help="Its arguments: '{width: 32}'.")
    ] = "{}",
    simulation: Annotated[
        str | None,
        typer.Option(
            "--in", metavar="FILE|NAME", help="A simulation that it fits into; else digits."
        ),
    ] = None,
) -> None:
    """Check a component of your own.

    Runs the conformance checks of its kind, and says what is wrong in a sentence each.
    """
    from fedzda.base import UserError
    from fedzda.platform.config.yaml_loader import parse_value
    from fedzda.platform.conformance import check as run_checks

    given = parse_value(args)
    if not isinstance(given, dict):
        raise UserError(f"--args should be a block such as '{{width: 32}}' (got '{args}').")
    report = run_checks(target, kind, given, simulation, _tell)
    if report.problems:
        count = len(report.problems)
        typer.echo(f"{target} breaks {count} rule{'s' * (count > 1)} for a {report.kind}.")
        raise typer.Exit(1)
    typer.echo(f"{target} keeps all {len(report.findings)} rules for a {report.kind}.")


def _tell(finding: Finding) -> None:
    typer.echo(f"{'ok' if finding.ok else 'FAILED':<6}  {finding.name}")
    if not finding.ok:
        typer.echo(f"        {finding.problem}")
