"""One cell in a process of its own: ``python -m fedzda.platform.sweep.child CONFIG FOLDER``.

Prints one line of JSON when the run is finished: its folder, and the processor time it took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from fedzda.base import FedzdaError
from fedzda.platform import plugins
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.yaml_loader import load_file
from fedzda.platform.simulation import Simulation


def main(config: str, folder: str) -> int:
    """Run the simulation of a resolved file; relative paths in it start at ``folder``."""
    data = load_file(Path(config)).data
    plugins.add_plugin_folder(Path(folder), data)
    try:
        checked = from_dict(data, source=config)
        run = Simulation.build(checked, Path(folder)).run()
    except FedzdaError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"run": str(run.path), "cpu_seconds": time.process_time()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
