"""Index of up to ten million clients: built, opened and drawn from, on this machine."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from fedzda.base import numpy_rng
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import Federation, prepare

_POPULATIONS = (1_000, 100_000, 1_000_000, 10_000_000)
_COHORT = 1_000
_SAMPLES = 2


def markdown() -> str:
    """A row per population; a fresh cache, so that everything is really built."""
    import os

    lines = [
        "| registered | samples | index and images on disk | built in | opened in | cohort drawn "
        "and its rows looked up |",
        "|---|---|---|---|---|---|",
    ]
    for clients in _POPULATIONS:
        with tempfile.TemporaryDirectory(prefix="fedzda-bench-") as folder:
            os.environ["FEDZDA_CACHE"] = str(Path(folder, "cache"))
            lines.append(_row(clients, Path(folder)))
            print(f"  {lines[-1]}", flush=True)
    return "\n".join(lines)


def _row(clients: int, folder: Path) -> str:
    total = clients * _SAMPLES
    rng = np.random.default_rng(0)
    label = np.arange(total) % 10
    image = rng.integers(0, 256, (total, 1, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", image=image, label=label)
    data = {
        "name": "arrays",
        "path": str(folder / "data.npz"),
        "clients": clients,
        "partition": {"name": "iid"},
        "test_fraction": 0.0,
    }
    raw = {"name": "p", "data": data, "model": {"name": "mlp"}, "strategy": {"name": "fed-avg"}}
    config = from_dict(raw)
    start = time.perf_counter()
    built = prepare(config.data, 0, folder)
    built_sec = time.perf_counter() - start
    size = sum(file.stat().st_size for file in Path(folder, "cache").rglob("*.npy"))
    start = time.perf_counter()
    federation = Federation.open(built.folder)
    opened_sec = time.perf_counter() - start
    spent = []
    for round_ in range(20):
        start = time.perf_counter()
        drawn = numpy_rng(0, "cohort", round_).choice(clients, _COHORT, replace=False)
        for client in sorted(int(i) for i in drawn):
            federation.indices(client, "train")
        spent.append(time.perf_counter() - start)
    return (
        f"| {clients:,} | {total:,} | {size / 1e6:,.0f} MB | {built_sec:.1f} s "
        f"| {1e3 * opened_sec:.1f} ms | {1e3 * min(spent):.1f} ms |"
    )
