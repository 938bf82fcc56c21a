"""Clients per second: one after the other against many at once, same work, one process.

    python benchmarks/cohort.py [--device cuda] [--norm batch] [--unequal] [--json FILE]

The default is the work of a round of W1 (see engine.py): 100 clients with 60 random images of
28x28, batch 10, one epoch of SGD, LeNet with 46,730 parameters. Both sides start from arrays in
memory and end with every client's arrays in memory. Rounds alternate, medians are reported, and
the difference between the two sides' weights stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedzda.base import numpy_rng
from fedzda.clients.cohort import can_vectorise, train_cohort
from fedzda.clients.runtime import ClientRuntime
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import prepare
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Content

Arrays = list[dict[str, Any]]


def main() -> None:
    """Print the table; write it as JSON with ``--json``."""
    options = parse()
    if not 1 <= options.threads <= (os.cpu_count() or 1):
        raise SystemExit(f"--threads must lie between 1 and the cores here (got {options.threads})")
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEDZDA_CACHE"] = folder
        runtime = make_runtime(options, Path(folder))
        row = measure(runtime, options)
    print(
        f"{row['machine']}: {options.clients} clients, {row['samples']} samples, "
        f"{row['steps']} steps, {row['parameters']:,} parameters\n"
        f"one by one  {row['one_by_one']:8.1f} clients/s\n"
        f"together    {row['together']:8.1f} clients/s  ({options.max_clients} at a time)\n"
        f"ratio       {row['ratio']:8.2f}   difference {row['difference']['median']:.0e} "
        f"(median client), {row['difference']['largest']:.0e} (largest)"
    )
    if options.json:
        options.json.write_text(json.dumps(row, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--model", default="lenet-bn", help="name of a built-in model")
    parser.add_argument("--norm", choices=["none", "batch", "group"], default="none")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--samples", type=int, default=60, help="per client (mean, if unequal)")
    parser.add_argument("--unequal", action="store_true", help="sizes from a third to five thirds")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--max-clients", type=int, default=32, help="trained at once")
    parser.add_argument("--threads", type=int, default=1, help="of torch, as the engine sets them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def make_runtime(options: argparse.Namespace, folder: Path) -> ClientRuntime:
    """A client runtime as a worker has it, on random images."""
    rng = np.random.default_rng(0)
    spread = options.samples * 2 // 3 if options.unequal else 0
    sizes = rng.integers(options.samples - spread, options.samples + spread + 1, options.clients)
    path = folder / "images.npz"
    np.savez(
        path,
        image=rng.integers(0, 256, (sizes.sum(), 28, 28), dtype=np.uint8),
        label=np.arange(sizes.sum()) % 10,
    )
    partition = {"name": "size", "sizes": sizes.tolist()}
    data = {"name": "arrays", "path": str(path), "test_image": "image", "test_label": "label"}
    config = from_dict(
        {
            "name": "cohort",
            "data": {**data, "clients": len(sizes), "partition": partition, "test_fraction": 0.0},
            "model": {"name": options.model, "norm": options.norm},
            "local": {"batch_size": options.batch_size},
            "strategy": {"name": "fed-avg"},
        }
    )
    federation = prepare(config.data, 0, folder)
    return ClientRuntime(plain(config), str(federation.folder), options.device)


def one_by_one(runtime: ClientRuntime, arrays: dict[str, Any], clients: range) -> Arrays:
    """A round as the workers do it."""
    request = Content(arrays={"arrays": arrays})
    calls = (Call(client, "train", 1, request, Content()) for client in clients)
    return [runtime.train(call).content.arrays["arrays"] for call in calls]


def together(
    runtime: ClientRuntime, arrays: dict[str, Any], clients: range, max_clients: int
) -> Arrays:
    """The same round with stacked weights."""
    rows = [runtime.federation.indices(client, "train") for client in clients]
    trained = train_cohort(
        runtime.model,
        runtime.task,
        arrays,
        [runtime.batch(own) for own in rows],
        runtime.config.local,
        [numpy_rng(runtime.seed, "batches", 1, client) for client in clients],
        1,
        max_clients,
    )
    return [state for state, _ in trained]


def measure(runtime: ClientRuntime, options: argparse.Namespace) -> dict[str, Any]:
    """Medians of alternating rounds, after one of each to warm up."""
    reason = can_vectorise([], runtime.model, runtime.task, runtime.config.local)
    if reason:
        raise SystemExit(reason)
    arrays = {
        name: value.cpu().numpy().copy() for name, value in runtime.model.state_dict().items()
    }
    clients = range(options.clients)
    sides: dict[str, Callable[[], Arrays]] = {
        "one_by_one": lambda: one_by_one(runtime, arrays, clients),
        "together": lambda: together(runtime, arrays, clients, options.max_clients),
    }
    results = {name: side() for name, side in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    sizes = runtime.federation.sizes("train")
    batch_size = options.batch_size
    steps = sum(max(1, n // batch_size + (n % batch_size > 1)) for n in sizes.tolist())
    return {
        "machine": machine(options.device),
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()},
        "samples": int(sizes.sum()),
        "steps": steps,
        "parameters": sum(p.numel() for p in runtime.model.parameters()),
        "seconds": seconds,
        **{name: options.clients / found for name, found in medians.items()},
        "ratio": medians["one_by_one"] / medians["together"],
        "difference": differences(results["one_by_one"], results["together"]),
    }


def differences(first: Arrays, second: Arrays) -> dict[str, float]:
    """Largest absolute difference of a client's arrays: of the median client and the worst.

    Single precision and BatchNorm let a few clients drift: a channel of small variance magnifies
    rounding from step to step. In double precision all agree (tests/unit/clients/test_cohort.py).
    """
    pairs = zip(first, second, strict=True)
    gaps = [
        max(float(np.abs(a[n].astype(float) - np.asarray(b[n])).max()) for n in a) for a, b in pairs
    ]
    return {"median": statistics.median(gaps), "largest": max(gaps)}


def machine(device: str) -> str:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine() + " CPU"
    return f"{name}, torch {torch.__version__}"


if __name__ == "__main__":
    main()
