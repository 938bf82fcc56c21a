"""What ships with fedzda, by kind and name. Listing it imports nothing heavy.

There is a module per group of kinds; a new component is one line in the one of its kind.
"""

from __future__ import annotations

from fedzda.platform.catalog.data import DATASETS, PARTITIONERS, SHIFTS
from fedzda.platform.catalog.devices import DEVICES, UPLINKS, VARIANTS
from fedzda.platform.catalog.entry import Entry
from fedzda.platform.catalog.models import MODELS
from fedzda.platform.catalog.running import COMMANDS, ENGINES, EXPORTS, RUNTIMES, TRACKERS
from fedzda.platform.catalog.strategies import PRIVACY, STRATEGIES
from fedzda.platform.catalog.tasks import SCENARIOS, SYNTHESIZERS, TASKS

__all__ = ["CATALOG", "Entry"]

CATALOG: dict[str, dict[str, Entry]] = {
    "datasets": DATASETS,
    "partitioners": PARTITIONERS,
    "shifts": SHIFTS,
    "models": MODELS,
    "tasks": TASKS,
    "scenarios": SCENARIOS,
    "synthesizers": SYNTHESIZERS,
    "strategies": STRATEGIES,
    "devices": DEVICES,
    "variants": VARIANTS,
    "uplinks": UPLINKS,
    "privacy": PRIVACY,
    "engines": ENGINES,
    "commands": COMMANDS,
    "exports": EXPORTS,
    "trackers": TRACKERS,
    "runtimes": RUNTIMES,
}
