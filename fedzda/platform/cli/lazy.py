"""Commands of other packages: listed from the catalogue, loaded when they are typed."""

from __future__ import annotations

from typing import Any, ClassVar

import typer

from fedzda.platform.catalog import CATALOG, Entry
from fedzda.platform.cli.failures import FailureGroup


class LazyGroup(FailureGroup):
    """The commands of the application, and those of the catalogue."""

    kind: ClassVar[str] = "commands"
    """Kind of the catalogue that further commands are listed under."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, the application's own first."""
        return list(dict.fromkeys([*super().list_commands(ctx), *CATALOG[self.kind]]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; one of the catalogue is a name with its summary until it is typed."""
        found = super().get_command(ctx, cmd_name)
        listed = CATALOG[self.kind]
        if found is None and cmd_name in listed:
            return typer.core.TyperCommand(cmd_name, help=listed[cmd_name].summary)
        return found

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed, now with its arguments."""
        listed = CATALOG[self.kind]
        if args[0] in listed and args[0] not in self.commands:
            self.commands[args[0]] = load_command(args[0], listed[args[0]])
        return super().resolve_command(ctx, args)


class ExportGroup(LazyGroup):
    """The commands of ``fedzda export``."""

    kind = "exports"


def load_command(name: str, entry: Entry) -> Any:
    """The click command of an entry of the catalogue."""
    from fedzda.platform.plugins import import_target

    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {"help_option_names": ["-h", "--help"]}
    alone.command(name, context_settings=settings)(import_target(entry.target))
    return typer.main.get_command(alone)
