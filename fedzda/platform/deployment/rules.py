"""What of a simulation cannot leave it: a sentence for every block that only simulates."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from fedzda.platform.config import SimulationConfig, plain


def problems_of(config: SimulationConfig) -> list[str]:
    """Why a simulation cannot be deployed, a sentence each; empty: it can."""
    return [*_blocks(config), *_targets(plain(config)), *_paths(config)]


def _blocks(config: SimulationConfig) -> Iterator[str]:
    if config.devices.name != "uniform":
        yield (
            f"devices is '{config.devices.name}', which simulates the speed, the presence and the "
            "forms of devices; real ones have their own. Set devices={name: uniform}."
        )
    if config.scenario is not None:
        yield (
            f"scenario is '{config.scenario.name}', which decides what data the clients have in "
            "a round; real ones find out by themselves. Set scenario=null."
        )
    if config.uplink is not None:
        yield (
            f"uplink is '{config.uplink.name}', whose bytes are counted and not sent: a real "
            "client sends its model as it is. Set uplink=null."
        )
    if config.strategy.simulated:
        yield (
            f"strategy.name is '{config.strategy.name}', which {config.strategy.simulated}. "
            "Choose another strategy."
        )
    if config.on_client_error == "retry":
        yield (
            "on_client_error is 'retry', and nobody runs a real client a second time. Set it to "
            "'fail' or 'skip'."
        )


def _targets(block: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Components beside the YAML file, which other machines do not have."""
    if "target" in block and "args" in block:
        yield (
            f"{path}.target is '{block['target']}', which lies beside the file and not on other "
            "machines. Make it a package that is installed on all of them (fedzda new-plugin), and "
            "use its name."
        )
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _targets(value, f"{path}.{key}".strip("."))


def _paths(config: SimulationConfig) -> Iterator[str]:
    paths = {"data.path": getattr(config.data, "path", None), "start_from": config.start_from}
    for key, path in paths.items():
        if path is not None and not (path.startswith(("~", "$")) or os.path.isabs(path)):
            yield (
                f"{key} is '{path}', relative to the file, which other machines do not have. Write "
                "it with a variable that every machine sets for itself, such as ${FEDZDA_DATA}, or "
                "as an absolute path."
            )
