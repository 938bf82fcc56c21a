"""GSANet on CamVid at 240x180: what each part of the head is worth, at equal parameters.

    FEDZDA_DATA=… python benchmarks/gsanet.py --run ladder          # 4 networks x 3 seeds, CPU
    FEDZDA_DATA=… python benchmarks/gsanet.py --run grid            # all 18 combinations
    FEDZDA_DATA=… python benchmarks/gsanet.py --run ladder --size mobilenet-edge --device cuda
    FEDZDA_DATA=… python benchmarks/gsanet.py --run federated       # one client per drive
    FEDZDA_DATA=… python benchmarks/gsanet.py --run int8            # the ladder as integers
    python benchmarks/gsanet.py --table ladder --table federated    # into docs/methods/gsanet.md

Trained from scratch for a fixed number of epochs on all training frames, measured once at the end:
nothing is selected on test frames. Every finished cell is a small JSON file under
docs/studies/results/gsanet/, and cells that have one are skipped. An unfinished cell goes on from
its last epoch (--work), so the script may be stopped at any time. With other ``--epochs`` or
``--rounds`` than these it is a trial: checkpoints and results stay apart, in --work.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

RESULTS = ROOT / "docs" / "studies" / "results" / "gsanet"
EPOCHS = {"lite": 100, "mobilenet-edge": 200, "xception": 200}
ROUNDS = 40
KINDS = ["ladder", "grid", "federated", "int8"]


def places(work: Path, length: int, usual: int) -> tuple[Path, Path]:
    """Folders of checkpoints and of results: a trial never passes for a cell of the study."""
    if length == usual:
        return work, RESULTS
    return work / f"tried-{length}", work / f"tried-{length}" / "results"


def finished(path: Path, make: Callable[[], dict[str, Any]]) -> None:
    """Make the result of a cell unless it exists."""
    if path.exists():
        return
    cell = make()
    cell |= {"machine": platform.machine(), "date": time.strftime("%Y-%m-%d")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(cell, indent=1) + "\n")
    print(path.stem, "done", flush=True)


def run_networks(kind: str, size: str, seeds: list[int], options: argparse.Namespace) -> None:
    """Every cell of the ladder or the grid, seed by seed."""
    import torch
    from gsanet_cases.arms import GRID, LADDER
    from gsanet_cases.training import run_cell

    torch.set_num_threads(options.threads)
    arms = list(LADDER.values()) if kind == "ladder" else GRID
    arms = [arm for arm in arms if not options.arms or arm.name in options.arms]
    if not arms:
        raise SystemExit(f"--arms names none of this kind (got {' '.join(options.arms)})")
    epochs = options.epochs or EPOCHS[size]
    work, results = places(options.work, epochs, EPOCHS[size])
    for seed in seeds:
        for arm in arms:
            path = results / f"{size}-{arm.name}-s{seed}.json"
            finished(
                path,
                lambda arm=arm, seed=seed: run_cell(  # type: ignore[misc]
                    arm, size, seed, epochs, work, options.device
                ),
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", choices=KINDS)
    parser.add_argument("--table", choices=KINDS, action="append")
    parser.add_argument("--size", choices=list(EPOCHS), default="lite")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--arms", nargs="+", help="only these, e.g. none-concat-plain or fed-avg; not for int8"
    )
    parser.add_argument("--epochs", type=int, help="instead of 100 (lite) or 200")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the federated runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "gsanet", help="checkpoints")
    options = parser.parse_args()
    if options.run == "federated":
        from gsanet_cases.federated import run_federated

        work, results = places(options.work, options.rounds, ROUNDS)
        run_federated(options.seeds, options.arms, options.rounds, work, results, finished)
    elif options.run == "int8":
        from gsanet_cases.integers import run_integers

        epochs = options.epochs or EPOCHS[options.size]
        work, results = places(options.work, epochs, EPOCHS[options.size])
        run_integers(options.size, options.seeds, epochs, work, results, finished)
    elif options.run:
        run_networks(options.run, options.size, options.seeds, options)
    for kind in options.table or []:
        from gsanet_cases.tables import update_page

        update_page(kind, options.size, RESULTS)


if __name__ == "__main__":
    main()
