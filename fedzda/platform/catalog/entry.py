"""One line of the catalogue, and a short way to write many of the same pattern."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One built-in component.

    Its configuration class stands in a module that imports neither torch nor Flower wherever the
    component itself needs torch.
    """

    target: str
    """``package.module:Name`` of the component."""
    summary: str
    """One line for ``fedzda list``."""
    config: str = ""
    """``package.module:Name`` of its configuration class; empty: the component's own ``Config``."""


def family(
    package: str, *rows: tuple[str, str, str, str], config: str = "", function: str = ""
) -> dict[str, Entry]:
    """Components of one package, each with a configuration class called after it.

    Args:
        package: Package of their modules.
        *rows: Name, module in the package, class, and summary of each. The configuration class is
            called as the class with ``Config`` at its end.
        config: Module of the configuration classes; left out: ``config`` of the package.
        function: What all modules call the component, where that is a function, not the class.
    """
    configs = config or f"{package}.config"
    return {
        name: Entry(f"{package}.{module}:{function or made}", summary, f"{configs}:{made}Config")
        for name, module, made, summary in rows
    }
