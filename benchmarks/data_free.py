"""Data-free quantization and distillation: how much of a classifier is left?

    FEDZDA_DATA=… python benchmarks/data_free.py quant-mnist           # hours on one core
    FEDZDA_DATA=… python benchmarks/data_free.py quant-cifar10 distil-mnist bn-distance
    FEDZDA_DATA=… python benchmarks/data_free.py quant-cifar10 distil-cifar10 --device cuda --full
    python benchmarks/data_free.py --table        # prints the tables, puts them into docs/methods

The teachers come from teachers.py. Every cell is a small JSON file under
docs/studies/results/data-free/; cells that have one are skipped, so a run that was stopped goes on.
The last training step is tested, never the best.

quant-…      calibration and then quantization-aware distillation from the float model, with 2,000
             stored images (CIFAR-10: 5,000) and the same steps whatever the source: real training
             images, three synthesizers, uniform noise. Labels are not used. ``--full``: 50,000
             images, 20,000 steps, all bits, sources and seeds.
distil-…     the adversarial game with one or two generators and students; each of them makes as
             many steps as it would alone, so 2x2 costs about twice as much.
bn-distance  zs-cgan with each distance to the BatchNorm statistics at three weights, as many steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import docs_page
import torch
from data_free_cases import bn_distance, distil, quant
from data_free_cases.bench import Bench, cells

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results" / "data-free"
PAGE = ROOT / "docs" / "methods" / "data-free.md"
PARTS = (*quant.PARTS, "distil-mnist", "distil-cifar10", bn_distance.PART)


def run(bench: Bench, part: str, seeds: list[int] | None) -> None:
    """All cells of a part."""
    if part in quant.PARTS:
        quant.run(bench, part, seeds)
    elif part == bn_distance.PART:
        bn_distance.run(bench, seeds)
    else:
        distil.run(bench, part, seeds)


def table(bench: Bench, part: str) -> str:
    """The Markdown of a part, and where it was measured."""
    if part in quant.PARTS:
        text = quant.table(bench, part)
    else:
        one = part == bn_distance.PART
        text = bn_distance.table(bench) if one else distil.table(bench, part)
    found = cells(bench.path(part, "x").parent)
    machines = ", ".join(sorted({row["machine"] for row in found}))
    dates = sorted({row["date"] for row in found})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{text.rstrip()}\n\n{len(found)} cells; {machines}; {days}."


def write_table(bench: Bench, part: str) -> None:
    """Print the table of a part, and put it between its markers in the docs page."""
    name = bench.path(part, "x").parent.name
    text = table(bench, part)
    print(f"### {name}\n\n{text}\n")
    if bench.results == RESULTS:
        docs_page.put(PAGE, f"table {name}", text)


def main() -> None:
    """Parse the arguments, run or print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the part's own")
    parser.add_argument("--only", nargs="+", default=[], help="cells whose name holds one of these")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--full", action="store_true", help="the budget for a GPU")
    parser.add_argument("--steps", type=int, help="every number of steps, to try it out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the cells")
    parser.add_argument("--table", action="store_true", help="of what is there")
    args = parser.parse_args()
    unknown = sorted(set(args.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; choose from: {', '.join(PARTS)}")
    if args.steps is not None and args.results == RESULTS:
        parser.error("--steps is for trying out: name another folder with --results")
    torch.set_num_threads(args.threads)
    bench = Bench(args.results, args.device, args.full, args.steps, args.only)
    if args.table:
        for part in args.parts or PARTS:
            if any(bench.path(part, "x").parent.glob("*.json")):
                write_table(bench, part)
        return
    for part in args.parts:
        run(bench, part, args.seeds)


if __name__ == "__main__":
    main()
