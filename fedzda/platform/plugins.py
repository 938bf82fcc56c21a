"""Find a component by name: built in, from an installed package, or ``module:Name`` of the user's.

A built-in and a user's plug-in take the same road: ``load(kind, name)``.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.catalog import CATALOG, Entry

_DISTRIBUTION_KINDS = (
    "strategies",
    "models",
    "tasks",
    "datasets",
    "partitioners",
    "shifts",
    "variants",
    "synthesizers",
)


def add_plugin_folder(folder: Path) -> None:
    """Let ``target: package.module:Name`` be found beside the YAML file first.

    Not in the folder of fedzda itself, in which ``platform`` would hide Python's own.
    """
    path = str(folder.resolve())
    if path not in sys.path and folder.resolve() != Path(__file__).resolve().parents[1]:
        sys.path.insert(0, path)


def entries(kind: str) -> dict[str, Entry]:
    """All named components of a kind: the catalogue, then plug-ins, which may not shadow it."""
    found = dict(CATALOG[kind])
    if kind in _DISTRIBUTION_KINDS:
        for name, installed in _installed(kind, tuple(sys.path)).items():
            found.setdefault(name, installed)
    return found


@functools.cache
def _installed(kind: str, path: tuple[str, ...]) -> dict[str, Entry]:
    """Plug-ins of installed packages. ``path`` is only a key: looking takes 20 ms, so once."""
    found: dict[str, Entry] = {}
    for point in importlib.metadata.entry_points(group=f"fedzda.{kind}"):
        source = point.dist.name if point.dist else "an installed package"
        found.setdefault(point.name, Entry(point.value, f"from {source}"))
    return found


def entry(kind: str, name: str) -> Entry:
    """The entry of a name. Raises :class:`UserError` with the nearest valid name."""
    known = entries(kind)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6) if len(name) > 3 else []
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise UserError(f"no {kind} named '{name}'.{hint} Known: {', '.join(sorted(known))}.")


def import_target(target: str) -> Any:
    """Import ``package.module:Name``. Raises :class:`UserError` that says what was missing."""
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise UserError(f"target '{target}' must have the form package.module:Name.")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(
            f"target '{target}' cannot be imported: {type(error).__name__}: {error}. "
            "The folder of the YAML file is searched first, then installed packages."
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise UserError(f"target '{target}': module '{module_name}' has no '{part}'.{hint}")
        found = getattr(found, part)
    return found


def load(kind: str, name: str) -> Any:
    """The component itself."""
    return import_target(entry(kind, name).target)


def config_class(kind: str, name: str) -> Any:
    """The configuration class of a component, imported without torch for built-ins."""
    found = entry(kind, name)
    if found.config:
        return import_target(found.config)
    component = import_target(found.target)
    if not hasattr(component, "Config"):
        raise UserError(
            f"{kind} '{name}' ({found.target}) has no Config class: "
            "add one that derives from fedzda.base.StrictConfig."
        )
    return component.Config
