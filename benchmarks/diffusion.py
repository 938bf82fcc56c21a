"""FRDiff and TDQ on U-Nets trained here: quality against cost.

    python benchmarks/diffusion.py --run train frdiff tdq both        # 8x8 digits, CPU
    python benchmarks/diffusion.py --table frdiff tdq both       # into docs/methods/diffusion.md
    FEDZDA_DATA=… python benchmarks/diffusion.py --data mnist --device cuda --count 10000 --run …
    FEDZDA_DATA=… python benchmarks/diffusion.py --data mnist --fast --run train frdiff tdq both

``--data mnist`` and ``--data cifar10`` are for a GPU; ``--fast`` walks through everything with a
few steps and images and keeps no result. Rows of DeepCache need its package: pip install DeepCache.
Every finished cell is a small JSON file under docs/studies/results/diffusion/, and cells that have
one are skipped; training goes on from its last checkpoint: the script may be stopped at any time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

RESULTS = ROOT / "docs" / "studies" / "results" / "diffusion"


def finished(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a cell, made unless it exists."""
    if not path.exists():
        started = time.perf_counter()
        cell = make()
        cell |= {
            "seconds": round(time.perf_counter() - started, 1),
            "machine": platform.machine(),
            "date": time.strftime("%Y-%m-%d"),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cell, indent=1) + "\n")
        print(path.stem, cell["seconds"], "s", flush=True)
    return dict(json.loads(path.read_text()))


class Study:
    """One data set, its U-Net and where results go."""

    def __init__(self, options: argparse.Namespace, results: Path) -> None:
        import torch
        from diffusion_cases.data import STUDIES, load_data
        from diffusion_cases.training import load_unet, trained

        torch.set_num_threads(options.threads)
        self.options, self.results, self.name = options, results, options.data
        self.count = 8 if options.fast else options.count
        self.work = options.work / f"{self.name}{'-fast' if options.fast else ''}"
        self.data = load_data(self.name)
        steps = 3 if options.fast else STUDIES[self.name].steps
        if options.fast:
            self.data = self.data._replace(train=self.data.train[:300], test=self.data.test[:100])
            self.data = self.data._replace(
                train_labels=self.data.train_labels[:300], test_labels=self.data.test_labels[:100]
            )
        record = trained(self.name, self.data, steps, options.device)
        finished(self.path("unet"), lambda: record)
        self.unet = load_unet(self.name, self.data, steps, options.device)

    def path(self, stem: str) -> Path:
        """File of a cell."""
        return self.results / f"{self.name}-{stem}.json"

    @property
    def seeds(self) -> list[int]:
        """Sampling seeds."""
        return self.options.seeds[:1] if self.options.fast else self.options.seeds


def run_frdiff(study: Study) -> None:
    """Every arm of the first study."""
    from diffusion_cases import reuse
    from diffusion_cases.measure import floor

    finished(study.path("floor"), lambda: floor(study.name, study.data))
    finished(study.path("single-steps"), lambda: reuse.single_steps(study.unet, study.data))
    arms = reuse.own_arms()
    if importlib.util.find_spec("DeepCache") is None:
        print("DeepCache is not installed: its rows are left out", flush=True)
        arms = {name: arm for name, arm in arms.items() if arm.kind != "deepcache"}
    if study.options.fast:
        arms = {name: arm for name, arm in arms.items() if name.endswith(("2-mixed", "cache-2"))}
    _with_rivals(study, arms)
    penalties = [1e-3] if study.options.fast else study.options.penalties
    for penalty in penalties:
        _with_rivals(study, _auto(study, penalty))


def _with_rivals(study: Study, arms: dict[str, Any]) -> None:
    """Cells of arms, and of DDIM with fewer steps at the cost of each."""
    from diffusion_cases import reuse

    for arm in [arm for arm in arms.values() if arm.kind != "ddim"]:
        steps = reuse.rival(study.unet, arm, study.data)
        arms.setdefault(f"ddim-{steps}", reuse.Arm("ddim", steps))
    for seed in study.seeds:
        for name, arm in arms.items():
            finished(
                study.path(f"frdiff-{name}-s{seed}"),
                lambda arm=arm, seed=seed: _frdiff_cell(study, arm, seed),  # type: ignore[misc]
            )


def _auto(study: Study, penalty: float) -> dict[str, Any]:
    """The arm of learned keyframes, from its own cell."""
    from diffusion_cases import reuse

    from fedzda.compression.diffusion import FRDiffConfig

    def make() -> dict[str, Any]:
        iterations = 2 if study.options.fast else 100
        _, found = reuse.auto_arm(study.unet, study.data, penalty, iterations)
        return {"keyframes": found.keyframes, "gates": found.gates, "errors": found.errors}

    made = finished(study.path(f"auto-{penalty:g}"), make)
    config = FRDiffConfig(
        keyframes=made["keyframes"], num_inference_steps=reuse.STEPS, score_mixing=False
    )
    return {f"auto-{penalty:g}": reuse.Arm("frdiff", config=config)}


def _frdiff_cell(study: Study, arm: Any, seed: int) -> dict[str, Any]:
    from diffusion_cases import reuse

    wanted = reuse.reference(study.data, study.unet, seed, study.count, study.work)
    found = reuse.cell(study.name, study.data, study.unet, arm, seed, study.count, wanted)
    if seed == 0 and arm.kind != "ddim" and not study.options.fast:
        found["wall_ratio"] = reuse.wall_ratio(study.unet, arm, study.data)
    return found


def run_tdq(study: Study) -> None:
    """Every arm of the second study, 4 bits first."""
    from diffusion_cases import quantize

    budget = quantize.FAST if study.options.fast else quantize.FULL
    count = min(study.count, study.options.tdq_count)
    for seed in study.seeds:
        for form in ("ptq", "qat"):
            arms = quantize.arms(form)
            for arm in arms[:1] if study.options.fast else arms:
                finished(
                    study.path(f"tdq-{form}-{arm[0]}-w{arm[1]}a{arm[2]}-s{seed}"),
                    lambda form=form, arm=arm, seed=seed: quantize.cell(  # type: ignore[misc]
                        study.name, study.data, study.unet, form, arm, seed, count, budget
                    ),
                )


def run_both(study: Study) -> None:
    """FRDiff and TDQ together."""
    from diffusion_cases import quantize, reuse

    budget = quantize.FAST if study.options.fast else quantize.FULL
    count = min(study.count, study.options.tdq_count)
    for seed in study.seeds:
        wanted = reuse.reference(study.data, study.unet, seed, study.count, study.work)
        for bits in ((8, 8), (4, 8)):
            finished(
                study.path(f"both-w{bits[0]}a{bits[1]}-s{seed}"),
                lambda bits=bits, seed=seed, wanted=wanted: quantize.both(  # type: ignore[misc]
                    study.name, study.data, study.unet, bits, seed, (count, budget, wanted)
                ),
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", choices=["train", "frdiff", "tdq", "both"], nargs="+", default=[])
    parser.add_argument("--table", choices=["frdiff", "tdq", "both"], nargs="+", default=[])
    parser.add_argument("--data", choices=["digits", "mnist", "cifar10"], default="digits")
    parser.add_argument("--count", type=int, default=2000, help="images per arm and seed")
    parser.add_argument("--tdq-count", type=int, default=500, help="images per quantized arm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--penalties", type=float, nargs="+", default=[1e-3], help="of Auto-FR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fast", action="store_true", help="a few steps, no result kept")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "diffusion")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) if options.fast else RESULTS
        if options.run:
            study = Study(options, results)
        if "frdiff" in options.run:
            run_frdiff(study)
        if "tdq" in options.run:
            run_tdq(study)
        if "both" in options.run:
            run_both(study)
    for kind in options.table:
        from diffusion_cases.tables import update_page

        update_page(kind, options.data, RESULTS)


if __name__ == "__main__":
    main()
