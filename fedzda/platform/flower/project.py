"""Reads the folder of a Flower app, as ``flwr new`` writes it: ``pyproject.toml`` and modules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config.problems import KEY_SIMILARITY, suggestion

Scalar = bool | int | float | str
_CLIENTS = 10
"""Nodes where the project says nothing: as many as in the projects that ``flwr new`` writes."""


@dataclass(frozen=True)
class FlowerProject:
    """A Flower app.

    Attributes:
        folder: Its folder, from which its modules are imported.
        name: Name of the project.
        server_app: ``package.module:name`` of the ServerApp.
        client_app: ``package.module:name`` of the ClientApp.
        run_config: ``[tool.flwr.app.config]``, nested keys with dots.
        clients: Simulated nodes, of the default federation.
    """

    folder: Path
    name: str
    server_app: str
    client_app: str
    run_config: dict[str, Scalar]
    clients: int


def read_project(folder: Path) -> FlowerProject:
    """The app in a folder.

    Raises:
        UserError: There is no ``pyproject.toml``, it is no TOML, or it describes no Flower app.
    """
    file = folder / "pyproject.toml"
    if not file.is_file():
        raise UserError(
            f"'{folder}' has no pyproject.toml: give the folder of a Flower app, as 'flwr new' "
            "writes it."
        )
    content = _toml(file)
    flower = content.get("tool", {}).get("flwr", {})
    app = flower.get("app", {})
    parts = app.get("components", {})
    missing = [key for key in ("serverapp", "clientapp") if not isinstance(parts.get(key), str)]
    if missing:
        raise UserError(
            *(
                f"'{file}' has no '{key}' in [tool.flwr.app.components]: name it as "
                "package.module:name."
                for key in missing
            )
        )
    return FlowerProject(
        folder=folder,
        name=str(content.get("project", {}).get("name", folder.resolve().name)),
        server_app=parts["serverapp"],
        client_app=parts["clientapp"],
        run_config=flattened(app.get("config", {}), file),
        clients=_clients(flower.get("federations", {})),
    )


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"'{file}' is not readable TOML: {error}.") from error


def _clients(federations: Mapping[str, Any]) -> int:
    chosen = federations.get(federations.get("default", ""), {})
    options = chosen.get("options", {}) if isinstance(chosen, dict) else {}
    found = options.get("num-supernodes")
    return found if isinstance(found, int) and found > 0 else _CLIENTS


def flattened(table: Mapping[str, Any], file: Path, before: str = "") -> dict[str, Scalar]:
    """Nested tables as dotted keys. Raises UserError for values that Flower does not take."""
    found: dict[str, Scalar] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= flattened(value, file, f"{before}{key}.")
        elif isinstance(value, bool | int | float | str):
            found[f"{before}{key}"] = value
        else:
            raise UserError(
                f"'{file}': config '{before}{key}' should be true, false, a number or text "
                f"(got {value!r})."
            )
    return found


def with_overrides(run_config: Mapping[str, Scalar], text: str) -> dict[str, Scalar]:
    """A run configuration with ``--run-config`` applied, by Flower's rules.

    Args:
        run_config: What the project says.
        text: ``key=value`` pairs, blanks between them and TOML values, or a ``.toml`` file.

    Raises:
        UserError: A key that the project does not have, or no such pairs.
    """
    if text.strip().endswith(".toml") and Path(text.strip()).is_file():
        file = Path(text.strip())
        given = flattened(_toml(file), file)
    else:
        given = _pairs(text)
    problems = []
    for key in given.keys() - run_config.keys():
        hint = suggestion(key, run_config, KEY_SIMILARITY)
        known = ", ".join(run_config) or "none"
        problems.append(f"--run-config: the app has no key '{key}'.{hint} Its keys: {known}.")
    if problems:
        raise UserError(*sorted(problems))
    return {**run_config, **{key: _like(run_config[key], value) for key, value in given.items()}}


def _pairs(text: str) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    rest = text.strip()
    while rest:
        match = re.match(r"""([\w.-]+)=('[^']*'|"[^"]*"|\S+)\s*""", rest)
        if match is None:
            raise UserError(
                "--run-config takes key=value pairs with blanks between them, such as "
                f"'num-server-rounds=5 learning-rate=0.1' (got '{rest}')."
            )
        key, value = match.groups()
        try:
            found[key] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:  # text without its quotes
            found[key] = value
        rest = rest[match.end() :]
    return found


def _like(before: Scalar, value: Scalar) -> Scalar:
    """``1`` for a key that holds ``0.5`` is ``1.0``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if isinstance(before, float) and whole else value
