"""Denoising and super-resolution: the protocol, dB against training hours, ablations.

    export FEDZDA_DATA=/folder/of/the/data
    python benchmarks/restoration.py --check                     # figures without training
    python benchmarks/restoration.py --estimates                 # blurs found beside the true ones
    python benchmarks/restoration.py --run denoise --arms nafnet-w16 --steps 5000
    python benchmarks/restoration.py --run sr --steps 20000      # every arm, one after the other
    python benchmarks/restoration.py --run polyu                 # five cameras as clients
    python benchmarks/restoration.py --run fed-sr                # needs no data
    python benchmarks/restoration.py --run fed-sr-fresh --seeds 0 1 2    # other cameras
    python benchmarks/restoration.py --table denoise --table sr     # into the page, with a picture
    python benchmarks/restoration.py --table polyu --table fed-sr

A training writes a checkpoint every few hundred steps under runs/restoration/ and its result, when
it is done, under docs/studies/results/restoration/. The same command goes on where it was left off,
and skips what is done. ``--stop-after 100`` leaves off after 100 steps, to see how long one takes;
``--rounds 2 --steps 1`` does the same for polyu and fed-sr, and keeps no result.
"""

from __future__ import annotations

import argparse
import sys

import torch
from restoration_cases import check, denoise, federated, page, raw, real, study, superres

STUDIES = {"denoise": denoise, "raw": raw, "sr": superres, "real-sr": real}
STEPS = {"denoise": 5000, "raw": 4000, "sr": 20000, "real-sr": 4000}
ON_REQUEST = ("mcu-net", "dncnn-he")  # for a GPU, and for comparison
ON_PAGE = ("denoise", "sr")


def run(name: str, arm: str, seed: int, options: argparse.Namespace) -> None:
    """One cell of a study."""
    if name in federated.STUDIES:
        federated.run(name, arm, seed, options.rounds, options.steps, options.workers)
        return
    cell = STUDIES[name].cell(arm, seed, options.steps or STEPS[name], options.device)
    study.run(name, arm, seed, cell, options.device, options.stop_after)


def table(name: str) -> str:
    """Markdown; for what the page has a place for, also there, and drawn."""
    if name in federated.STUDIES:
        return federated.table(name)
    return page.update(name) if name in ON_PAGE else study.table(name)


def main() -> int:
    """Check, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--estimates", action="store_true")
    studies = [*STUDIES, *federated.STUDIES]
    parser.add_argument("--run", choices=studies, action="append", default=[])
    parser.add_argument("--table", choices=studies, action="append", default=[])
    parser.add_argument("--arms", nargs="+", default=None)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--stop-after", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    good = check.check() if options.check else True
    if options.estimates:
        real.print_estimates()
    for name in options.run:
        known = federated.STUDIES[name].arms if name in federated.STUDIES else STUDIES[name].ARMS
        unknown = [arm for arm in options.arms or [] if arm not in known]
        if unknown:
            parser.error(f"--arms {unknown[0]}: {name} has {', '.join(known)}")
        for seed in options.seeds:
            for arm in options.arms or [arm for arm in known if arm not in ON_REQUEST]:
                run(name, arm, seed, options)
    for name in options.table:
        print(f"\n{name}\n{table(name)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
