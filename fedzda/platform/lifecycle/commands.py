"""A command as a stage: the words that would be typed, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedzda.base import RunError, UserError
from fedzda.platform import plugins
from fedzda.platform.catalog import CATALOG
from fedzda.platform.config.problems import KEY_SIMILARITY, suggestion

_OUT, _SEED = "out", "seed"
_FOLDER = "DIR"
"""What help texts call an option that takes a folder."""


class Command:
    """A command of the catalogue that writes a folder of results.

    Args:
        name: Its name.

    Raises:
        UserError: There is no such command, or it writes no folder.
    """

    def __init__(self, name: str) -> None:
        from fedzda.platform.cli.lazy import load_command

        known = CATALOG["commands"]
        if name not in known:
            hint = suggestion(name, known, KEY_SIMILARITY)
            raise UserError(f"there is no command '{name}'.{hint} Known: {', '.join(known)}.")
        self.name = name
        self._click = load_command(name, plugins.entry("commands", name))
        self._params = {p.name: p for p in self._click.params if p.name != "help"}
        out = self._params.get(_OUT)
        if out is None or out.metavar != _FOLDER:
            raise UserError(f"command '{name}' writes no folder, so it cannot be a stage.")

    def words(self, options: Mapping[str, Any], seed: int, out: Path) -> list[str]:
        """What would be typed after the command's name.

        Args:
            options: Name of an argument or option to its value; None: as if it were left out.
            seed: Used where the command has one and ``options`` do not say.
            out: The new folder.

        Raises:
            UserError: An option that it does not have, or that is the life's to say, or a switch
                and its value confused.
        """
        said = {key.replace("-", "_"): value for key, value in options.items()}
        given = {key: value for key, value in said.items() if value is not None}
        problems = []
        for key in said:
            if key == _OUT:
                problems.append("'out' is the folder of the stage. Leave it out.")
            elif key not in self._params:
                own = [name for name in self._params if name != _OUT]
                hint = suggestion(key, own, KEY_SIMILARITY)
                problems.append(f"'{self.name}' has no '{key}'.{hint} It has: {', '.join(own)}.")
            else:
                problems += self._confused(key, said[key])
        if problems:
            raise UserError(*problems)
        if _SEED in self._params:
            given = {_SEED: seed, **given}
        named: list[str] = []
        placed: list[str] = []
        for key, param in self._params.items():
            if key not in given:
                continue
            values = given[key] if isinstance(given[key], list) else [given[key]]
            if param.param_type_name == "argument":
                placed += [_word(value) for value in values]
            elif isinstance(given[key], bool):
                named.append((param.opts if given[key] else param.secondary_opts)[0])
            else:
                named += [word for value in values for word in (param.opts[0], _word(value))]
        return [*named, f"--{_OUT}", str(out), "--", *placed]

    def _confused(self, key: str, value: Any) -> list[str]:
        """What is wrong with true or false for what is no switch, and the other way round."""
        switch = getattr(self._params[key], "is_flag", False)
        if value is None or isinstance(value, bool) == switch:
            return []
        wants = "is a switch: true or false" if switch else "takes a value, not true or false"
        said = str(value).lower() if isinstance(value, bool) else f"'{value}'"
        return [f"'{key}' of '{self.name}' {wants} (got {said}). Change it, or leave it out."]

    def check(self, words: list[str]) -> None:
        """Raise UserError unless the command understands the words."""
        import click

        try:
            self._click.make_context(self.name, list(words))
        except click.UsageError as error:
            raise UserError(f"'{self.name}': {error.format_message()}") from error

    def run(self, words: list[str]) -> None:
        """Do it. Raises UserError or RunError as the command does."""
        import click

        try:
            code = self._click.main(list(words), prog_name=self.name, standalone_mode=False)
        except click.Abort as error:  # what click makes of an interruption
            raise KeyboardInterrupt from error
        if code:
            raise RunError(f"command '{self.name}' ended with exit code {code}.")


def _word(value: Any) -> str:
    """A value as it is typed: blocks in YAML's flow style."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
