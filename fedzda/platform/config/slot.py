"""A place in the configuration where a component is named."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from fedzda.base import StrictConfig


class Slot:
    """Marks a field that holds the configuration of a component of one ``kind``."""

    def __init__(self, kind: str, *, target: bool = True, listed: str | None = None) -> None:
        """
        Args:
            kind: Kind of the components.
            target: Whether a component of the user's own can stand here.
            listed: Component, of the same name as its key, that a bare list stands for.
        """
        self.kind = kind
        self.target = target
        self.listed = listed


class TargetConfig(StrictConfig):
    """A component of the user's own: ``{target: package.module:Name, args: {…}}``."""

    target: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    """``package.module:Name``, looked up beside the YAML file first."""
    args: dict[str, Any] = Field(default={})
    """Keyword arguments of the component, passed as they are."""
