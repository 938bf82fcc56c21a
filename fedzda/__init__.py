"""fedzda: simulate fair federated learning on heterogeneous, privacy-bound devices.

>>> import fedzda
>>> run = fedzda.run("quickstart", rounds=5)          # doctest: +SKIP
>>> run.clients                                       # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# No usage reports, whatever the machine's settings: must stand before Flower or Ray is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

__version__ = "0.1.0"
__all__ = ["Run", "Simulation", "__version__", "load", "run"]

if TYPE_CHECKING:
    from fedzda.platform.runs import Run, load
    from fedzda.platform.simulation import Simulation, run

_LAZY = {
    "Run": "fedzda.platform.runs",
    "load": "fedzda.platform.runs",
    "Simulation": "fedzda.platform.simulation",
    "run": "fedzda.platform.simulation",
}


def __getattr__(name: str) -> Any:
    """Import the Python API when it is first used, so that ``fedzda --help`` stays fast."""
    if name not in _LAZY:
        raise AttributeError(f"module 'fedzda' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
