"""Find a component by name: built in, from an installed package, or ``module:Name`` of the user's.

A built-in and a user's plug-in take the same road: ``load(kind, name)``.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import re
import sys
from collections.abc import Mapping
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


_MODULE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def add_plugin_folder(folder: Path, config: Any = None) -> None:
    """Let ``target: package.module:Name`` be found beside the YAML file first.

    Not in the folder of fedzda itself, in which ``platform`` would hide Python's own.

    Args:
        folder: The folder.
        config: Nested blocks; nothing is done unless one of their values names a module, since the
            folder may be any working directory, with a ``queue.py`` that would hide Python's own.
    """
    if config is not None and not names_a_module(config):
        return
    path = str(folder.resolve())
    if path not in sys.path and folder.resolve() != Path(__file__).resolve().parents[1]:
        sys.path.insert(0, path)


def names_a_module(config: Any) -> bool:
    """Whether a value of nested blocks and lists is ``module:Name``."""
    if isinstance(config, Mapping):
        return any(map(names_a_module, config.values()))
    if isinstance(config, list | tuple):
        return any(map(names_a_module, config))
    return isinstance(config, str) and _MODULE.fullmatch(config) is not None


def ours(kind: str, name: object) -> bool:
    """Whether a name is that of a component of fedzda itself; others are taken on trust."""
    found = entries(kind).get(name) if isinstance(name, str) else None
    return found is not None and found.target.startswith("fedzda.")


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
