"""How long the dashboard takes for the list and for one page of many large runs.

    python benchmarks/dashboard.py                    # 1,000 runs of 1,000 clients, 200 rounds
    python benchmarks/dashboard.py --runs 100 --rounds 50
    python benchmarks/dashboard.py --json FILE --page docs/guides/dashboard.md

One run folder is made from random numbers by the code that records real ones, then copied: each run
has small files of its own, and the client tables are hard links to the same content, so the disk's
cache is warmer than it would be for a thousand different ones. Measured is one request after the
other against a server in a process of its own: the start, in which all runs are read once, the
first request of each kind, and the median of five more. Bars: the list in 1 s, the page of a run in
2 s, both at the first request.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from docs_page import put
from engine_cases import machine

from fedzda.platform.config import plain
from fedzda.platform.config.load import load_config, shipped
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.fairness import describe, summarise
from fedzda.platform.files import json_line, write_json
from fedzda.platform.recorder import SCHEMA

CLASSES = 10
REPEATS = 5
BARS = {"list": 1.0, "run": 2.0}


START = "(start, all runs read)"


class Timed(NamedTuple):
    """A page: seconds of the first request, median seconds of later ones, size in bytes."""

    page: str
    first: float
    again: float | None
    size: int | None


def main() -> None:
    """Make the folders, ask for pages, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where to make them; left out: a temporary one")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--page", type=Path, help="a docs page with a place for the table")
    wanted = parser.parse_args()
    where = machine.describe()
    with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
        root = Path(folder) / "runs"
        ids = make_runs(root, wanted.runs, wanted.clients, wanted.rounds)
        rows = measure(root, ids)
    size = {"runs": wanted.runs, "clients": wanted.clients, "rounds": wanted.rounds}
    found = {"machine": where, **size, "pages": [row._asdict() for row in rows]}
    print(text(found))
    if wanted.json is not None:
        write_json(wanted.json, found)
    if wanted.page is not None:
        put(wanted.page, "speed", text(found))


def text(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    size = f"{found['runs']:,} runs of {found['clients']:,} clients and {found['rounds']:,} rounds"
    lines = [
        f"{size}. {machine.line(found['machine'])}",
        "",
        "| page | first request | later ones | bar | size |",
        "|---|---|---|---|---|",
    ]
    for row in found["pages"]:
        bar = f"{BARS[row['page']]:.0f} s" if row["page"] in BARS else ""
        rest = (
            f"{row['again']:.2f} s | {bar} | {row['size'] / 1000:.0f} kB"
            if row["again"]
            else " | | "
        )
        lines.append(f"| {row['page']} | {row['first']:.2f} s | {rest} |")
    return "\n".join(lines)


def make_runs(root: Path, runs: int, clients: int, rounds: int) -> list[str]:
    """Finished runs, the last one still running; returns their ids."""
    root.mkdir(parents=True)
    first = root / "run-0000"
    make_run(first, clients, rounds)
    for number in range(1, runs):
        copy(first, root / f"run-{number:04}", number)
    now = {"state": "running", "round": rounds - 1, "rounds": rounds, "eta": 60.0}
    last = root / f"run-{runs - 1:04}"
    (last / "summary.json").unlink()
    write_json(last / "status.json", now | {"time": time.time(), "pid": 0})
    return sorted(path.name for path in root.iterdir())


def make_run(folder: Path, clients: int, rounds: int) -> None:
    """One finished run of a thousand clients or so, its tables by the recorder's schema."""
    rng = np.random.default_rng(0)
    (folder / "clients").mkdir(parents=True)
    (folder / "artifacts").mkdir()
    rows = []
    for round_ in range(1, rounds + 1):
        table, metrics = round_table(rng, round_, rounds, clients)
        pq.write_table(table, folder / "clients" / f"part-{round_:06d}.parquet")
        rows.append(
            {"round": round_, "metrics": metrics, "server": {},
             "seconds": dict.fromkeys(("schedule", "train", "evaluate", "total"), 1.0),
             "bytes": {"down": 10**8, "up": 10**8},
             "clients": {"sampled": clients, "done": clients, "failed": 0}}
        )  # fmt: skip
    (folder / "rounds.jsonl").write_text("".join(map(json_line, rows)), encoding="utf-8")
    labels = np.tile(np.arange(CLASSES), clients)
    owners = np.repeat(np.arange(clients), CLASSES)
    counts = rng.integers(1, 60, clients * CLASSES)
    pq.write_table(
        pa.table({"client": owners, "split": ["train"] * owners.size, "label": labels,
                  "count": counts}),
        folder / "artifacts" / "label_counts.parquet",
    )  # fmt: skip
    write_json(folder / "artifacts" / "classes.json", [str(i) for i in range(CLASSES)])
    config = load_config(shipped()["quickstart"]).config
    (folder / "config.yaml").write_text(dump(plain(config)), encoding="utf-8")
    final = final_figures(table)
    write_json(
        folder / "summary.json",
        {"state": "finished", "name": "quickstart", "seed": 0, "rounds": rounds, "metrics": final,
         "stage": "global", "seconds": {"total": 200.0}, "bytes": {"down": 1, "up": 1}},
    )  # fmt: skip
    write_json(folder / "meta.json", {"started": "2026-01-01T00:00:00+00:00"})
    status = {"state": "finished", "round": rounds, "rounds": rounds, "time": time.time()}
    write_json(folder / "status.json", status)


def round_table(
    rng: np.random.Generator, round_: int, rounds: int, clients: int
) -> tuple[pa.Table, dict[str, object]]:
    """Rows of one round (training loss, accuracy, loss, recall of every class) and its figures."""
    level = 0.3 + 0.6 * round_ / rounds
    kinds = [("train", "train", "loss"), ("evaluate", "test", "accuracy")]
    kinds += [("evaluate", "test", "loss")]
    kinds += [("evaluate", "test", f"recall/{label}") for label in range(CLASSES)]
    size = clients * len(kinds)
    value = np.clip(level + rng.normal(0, 0.1, size), 0, 1)
    columns = {
        "round": np.full(size, round_),
        "phase": np.repeat([kind[0] for kind in kinds], clients),
        "client": np.tile(np.arange(clients), len(kinds)),
        "split": np.repeat([kind[1] for kind in kinds], clients),
        "stage": ["global"] * size,
        "metric": np.repeat([kind[2] for kind in kinds], clients),
        "value": value,
        "num_examples": np.full(size, 100),
        "device": ["uniform"] * size,
        "variant": ["full"] * size,
        "group": [""] * size,
        "seconds": np.full(size, 0.1),
        "bytes_down": np.full(size, 10**5),
        "bytes_up": np.full(size, 10**5),
    }
    accuracy = value[clients : 2 * clients]
    figures = describe(accuracy, np.full(clients, 100))
    known = [name for name in SCHEMA.names if name in columns]
    arrays = [pa.array(columns[name], SCHEMA.field(name).type) for name in known]
    table = pa.Table.from_arrays(arrays, schema=pa.schema([SCHEMA.field(n) for n in known]))
    return table, {"accuracy": figures, "loss": figures}


def final_figures(table: pa.Table) -> dict[str, object]:
    """What a summary keeps of the last round."""
    rows = table.to_pandas()
    kept = rows[(rows.metric == "accuracy") & (rows.phase == "evaluate")]
    return {"accuracy": summarise(kept.value, kept.num_examples)}


def copy(first: Path, folder: Path, seed: int) -> None:
    """A further run: own small files, tables linked to those of the first."""
    for part in ("clients", "artifacts"):
        (folder / part).mkdir(parents=True)
        for file in (first / part).iterdir():
            os.link(file, folder / part / file.name)
    for name in ("rounds.jsonl", "meta.json", "status.json"):
        shutil.copy(first / name, folder / name)
    text = (first / "config.yaml").read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(text.replace("seed: 0", f"seed: {seed}", 1))
    summary = json.loads((first / "summary.json").read_text(encoding="utf-8"))
    write_json(folder / "summary.json", summary | {"seed": seed})


def measure(root: Path, ids: list[str]) -> list[Timed]:
    """All kinds of pages."""
    command = [sys.executable, "-m", "fedzda", "dashboard", str(root), "--port", "0"]
    started = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        base = server.stdout.readline().split()[-1].rstrip("/")
        start = Timed(START, time.perf_counter() - started, None, None)
        some, live = quote(ids[len(ids) // 2]), quote(ids[-1])
        several = "&".join(f"run={quote(id_)}" for id_ in ids[:10])
        pages = {
            "list": "/",
            "list, sorted and filtered": "/?q=fed-zdac&sort=worst10",
            "run": f"/run?run={some}",
            "run, live": f"/run?run={live}",
            "its panel": f"/run/panel?run={live}",
            "client": f"/clients?run={some}&client=7",
            "devices and cost": f"/cost?run={some}",
            "compare 10 runs": f"/compare?{several}",
        }
        return [start, *(ask(name, base + path) for name, path in pages.items())]
    finally:
        server.terminate()
        server.wait()


def ask(page: str, url: str) -> Timed:
    """Request a page several times."""
    spent = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        with urllib.request.urlopen(url, timeout=120) as answer:
            size = len(answer.read())
        spent.append(time.perf_counter() - started)
    return Timed(page, spent[0], statistics.median(spent[1:]), size)


if __name__ == "__main__":
    main()
