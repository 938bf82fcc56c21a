"""Seconds to partition: 60,000 samples to 1,000 clients (first and cached), and 100,000 clients.

Bars: under 5 s the first time, under 0.2 s from cache. Labels are those of a balanced set of ten
classes, images one pixel, so that the figures are those of partition and split alone.

    python benchmarks/partition.py [--json FILE] [--only NAME]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.platform import plugins
from fedzda.platform.data.federation import prepare
from fedzda.platform.data.sources.config import ArraysConfig

CASES: dict[str, dict[str, Any]] = {
    "iid": {},
    "dirichlet": {"alpha": 0.1},
    "flwr-dirichlet": {"alpha": 0.5, "min_partition_size": 1},
    "inner-dirichlet": {"alpha": 0.5},
    "flwr-inner-dirichlet": {"alpha": 0.5, "sizes": [60] * 1000},
    "pathological": {},
    "flwr-pathological": {},
    "shard": {},
    "distribution": {"distribution": [[1.0] * 200] * 10},
    "continuous": {"column": "x"},
    "natural-id": {"column": "user"},
    "grouped-natural-id": {"column": "item", "group_size": 2},
    "size": {"sizes": [60] * 1000},
}
"""Those that 1,000 clients suit; linear, square and exponential would leave small clients empty."""

MANY = ("iid", "dirichlet", "inner-dirichlet", "pathological", "shard")


def main() -> None:
    """Print the table; write it as JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", action="append", choices=list(CASES))
    options = parser.parse_args()
    names = options.only or list(CASES)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEDZDA_CACHE"] = str(Path(folder, "cache"))
        small, large = Path(folder, "small.npz"), Path(folder, "large.npz")
        _write(small, 60_000, users=1000)
        _write(large, 1_000_000, users=1000)
        for name in names:
            rows.append(_measure(small, name, 60_000, 1000))
        for name in [name for name in MANY if name in names]:
            rows.append(_measure(large, name, 1_000_000, 100_000))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _write(path: Path, rows: int, users: int) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        path,
        image=np.zeros((rows, 1, 1), np.uint8),
        label=rng.permutation(np.arange(rows) % 10),
        x=rng.normal(size=rows),
        user=rng.permutation(np.arange(rows) % users),
        item=rng.permutation(np.arange(rows) % (2 * users)),
    )


def _measure(path: Path, name: str, samples: int, clients: int) -> dict[str, Any]:
    block = plugins.config_class("partitioners", name).model_validate({"name": name, **CASES[name]})
    natural = getattr(block, "finds_clients", False)
    seconds = {}
    # With a test set given nothing is held out, so that the pool has all samples.
    config = ArraysConfig(
        path=str(path),
        test_image="image",
        test_label="label",
        clients=None if natural else clients,
        partition=block,
    )
    prepare(config.model_copy(update={"partition": _iid(), "clients": 1}), 0, path.parent)
    for run in ("first", "cached"):
        start = time.perf_counter()
        federation = prepare(config, 0, path.parent)
        seconds[run] = time.perf_counter() - start
    found = federation.num_clients
    print(
        f"{name:22} {samples:>9,} -> {found:>7,} clients   first {seconds['first']:6.2f} s"
        f"   cached {seconds['cached']:6.3f} s",
        flush=True,
    )
    return {"partitioner": name, "samples": samples, "clients": found, "seconds": seconds}


def _iid() -> Any:
    return plugins.config_class("partitioners", "iid")()


if __name__ == "__main__":
    main()
