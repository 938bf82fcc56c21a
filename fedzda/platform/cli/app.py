"""The ``fedzda`` command: wires one module per command. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import fedzda
from fedzda.platform.cli.check import check
from fedzda.platform.cli.compare import compare
from fedzda.platform.cli.dashboard import dashboard
from fedzda.platform.cli.demo import demo
from fedzda.platform.cli.doctor import doctor
from fedzda.platform.cli.explain import explain
from fedzda.platform.cli.export import export
from fedzda.platform.cli.lazy import LazyGroup
from fedzda.platform.cli.listing import list_components
from fedzda.platform.cli.new import new
from fedzda.platform.cli.new_plugin import new_plugin
from fedzda.platform.cli.plot import plot
from fedzda.platform.cli.report import report
from fedzda.platform.cli.resume import resume
from fedzda.platform.cli.run import run
from fedzda.platform.cli.schema import schema
from fedzda.platform.cli.show import show
from fedzda.platform.cli.sweep import sweep
from fedzda.platform.cli.validate import validate
from fedzda.platform.cli.watch import watch

typer.core.HAS_RICH = False  # help is plain, see below: "\[required]" is escaped for nobody
app = typer.Typer(
    name="fedzda",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    suggest_commands=False,  # click suggests as well, and two suggestions of one word confuse
    rich_markup_mode=None,  # plain help: a third of the start-up time, and readable when piped
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: list[tuple[str, Callable[..., None]]] = [
    ("run", run),
    ("validate", validate),
    ("show", show),
    ("list", list_components),
    ("explain", explain),
    ("new", new),
    ("new-plugin", new_plugin),
    ("check", check),
    ("schema", schema),
    ("resume", resume),
    ("watch", watch),
    ("report", report),
    ("compare", compare),
    ("plot", plot),
    ("sweep", sweep),
    ("dashboard", dashboard),
    ("doctor", doctor),
]
for _name, _command in _COMMANDS:
    app.command(_name)(_command)
app.command("demo", hidden=True)(demo)
app.add_typer(export, name="export")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fedzda {fedzda.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Simulate fair federated learning on heterogeneous, privacy-bound devices.

    Begin with: fedzda run quickstart
    """
