"""Commands of other packages: listed from the catalogue, loaded when they are typed."""

from __future__ import annotations

from typing import Any

import typer

from fedzda.platform.catalog import CATALOG
from fedzda.platform.cli.failures import FailureGroup

_KIND = "commands"


class LazyGroup(FailureGroup):
    """The commands of the application, and those of the catalogue."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, the application's own first."""
        return list(dict.fromkeys([*super().list_commands(ctx), *CATALOG[_KIND]]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; one of the catalogue is a name with its summary until it is typed."""
        found = super().get_command(ctx, cmd_name)
        if found is None and cmd_name in CATALOG[_KIND]:
            return typer.core.TyperCommand(cmd_name, help=CATALOG[_KIND][cmd_name].summary)
        return found

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed, now with its arguments."""
        if args[0] in CATALOG[_KIND] and args[0] not in self.commands:
            self.commands[args[0]] = _load(args[0])
        return super().resolve_command(ctx, args)


def _load(name: str) -> Any:
    from fedzda.platform.plugins import import_target

    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {"help_option_names": ["-h", "--help"]}
    function = import_target(CATALOG[_KIND][name].target)
    alone.command(name, context_settings=settings)(function)
    return typer.main.get_command(alone)
