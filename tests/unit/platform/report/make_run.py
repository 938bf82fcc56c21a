"""Writes a run folder in the documented format, from random numbers and the real summary code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from fedzda.platform.fairness import summarise
from fedzda.platform.report import html
from fedzda.platform.report.charts import draw_all
from fedzda.platform.report.data import collect

CONFIG: dict[str, Any] = {
    "name": "fed-zdac-digits",
    "seed": 0,
    "rounds": 6,
    "data": {"name": "digits", "clients": 20, "partition": {"name": "pathological"}},
    "model": {"name": "lenet-bn"},
    "strategy": {"name": "fed-zdac", "clients_per_round": 10},
    "evaluate": {"every": 1},
}
DEVICES = np.array(["phone", "watch"])


def client_table(
    rng: np.random.Generator, round_: int, rounds: int, held: list[np.ndarray], shift: float
) -> pd.DataFrame:
    """Evaluation rows of one round; clients get better with the rounds."""
    rows = []
    for client, classes in enumerate(held):
        progress = 0.3 + 0.6 * round_ / rounds + shift
        recall = np.clip(progress - 0.03 * classes + rng.normal(0, 0.12, classes.size), 0, 1)
        shared = {
            "round": round_, "phase": "evaluate", "client": client, "split": "test",
            "stage": "global", "num_examples": 10 + 7 * client,
            "device": str(DEVICES[client % 2]), "variant": "full",
            "seconds": 0.01, "bytes_down": 0, "bytes_up": 0,
        }  # fmt: skip
        rows += [
            shared | {"metric": "accuracy", "value": recall.mean()},
            shared | {"metric": "loss", "value": -np.log(max(recall.mean(), 1e-3))},
            shared | {"split": "train", "phase": "train", "metric": "loss", "value": 0.5},
        ]
        rows += [
            shared | {"metric": f"recall/{label}", "value": value}
            for label, value in zip(classes, recall, strict=True)
        ]
    return pd.DataFrame(rows).astype({"round": "int32"})


def figures(table: pd.DataFrame, metric: str) -> dict[str, Any]:
    """What the run records about one metric of one round."""
    found = table[(table.metric == metric) & (table.phase == "evaluate")]
    better = metric != "loss"
    return summarise(found.value, found.num_examples, higher_is_better=better)


def make_run(
    folder: Path,
    *,
    seed: int = 0,
    rounds: int = 6,
    clients: int = 20,
    classes: int = 10,
    per_client: int = 2,
    shift: float = 0.0,
    **config: Any,
) -> Path:
    """A finished run. ``shift`` moves every client's accuracy; ``config`` replaces blocks."""
    rng = np.random.default_rng(seed)
    (folder / "clients").mkdir(parents=True)
    (folder / "artifacts").mkdir()
    held = [np.sort(rng.choice(classes, per_client, replace=False)) for _ in range(clients)]
    lines = []
    for round_ in range(1, rounds + 1):
        table = client_table(rng, round_, rounds, held, shift)
        table.to_parquet(folder / "clients" / f"part-{round_:06d}.parquet", index=False)
        metrics = {name: figures(table, name) for name in ("accuracy", "loss")}
        lines.append(
            {"round": round_, "seconds": {"total": 1.0}, "bytes": {"down": 10, "up": 10},
             "clients": {"sampled": clients, "done": clients, "failed": 0}, "metrics": metrics}
        )  # fmt: skip
    means = [line["metrics"]["accuracy"]["mean"] for line in lines[-10:]]
    final = lines[-1]["metrics"]
    final["accuracy"]["last10_mean"] = float(np.mean(means))
    summary = {
        "state": "finished", "name": "fed-zdac-digits", "seed": seed, "rounds": rounds,
        "metrics": final, "global_test": {"accuracy": final["accuracy"]["weighted_mean"]},
        "by_device": {
            str(d): {"accuracy": figures(table[table.device == d], "accuracy")} for d in DEVICES
        },
        "by_variant": {"full": {"accuracy": final["accuracy"]}},
        "seconds": {"startup": 1.5, "train": 61.0, "evaluate": 3.5, "total": 66.0},
        "bytes": {"down": 123_456_789, "up": 987_654}, "failures": {"retried": 0, "lost": 0},
    }  # fmt: skip
    labels = pd.DataFrame(
        {"client": c, "split": split, "label": int(label), "count": (20 + 9 * c) // part}
        for c, classes_ in enumerate(held)
        for label in classes_
        for split, part in (("train", 1), ("test", 4))
    )
    labels.to_parquet(folder / "artifacts" / "label_counts.parquet", index=False)
    (folder / "artifacts" / "classes.json").write_text(json.dumps([str(i) for i in range(classes)]))
    for round_ in (3, rounds):
        pixels = (rng.random((64, 160)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "artifacts" / f"samples-round-{round_:06d}.png")
    resolved = CONFIG | {"seed": seed, "rounds": rounds} | config
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
    (folder / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    _json(folder / "summary.json", summary)
    _json(folder / "status.json", {"state": "finished", "round": rounds, "eta": 0.0})
    _json(folder / "meta.json", {"versions": {"fedzda": "0.1.0"}, "exit_reason": "finished"})
    return folder


def add_findings(folder: Path, classes: int = 10, clients: int = 20) -> Path:
    """What a run keeps only if it is asked to: clusters and views, groups, a probe."""
    rng = np.random.default_rng(3)
    artifacts = folder / "artifacts"
    views = []
    for number, says in enumerate(("turned by 0°", "turned by 90°")):
        Image.fromarray((rng.random((60, 600)) * 255).astype(np.uint8)).save(
            artifacts / f"view-{number}.png"
        )
        views.append({"file": f"view-{number}.png", "client": 10 * number, "unit": number,
                      "clients": clients // 2, "says": says})  # fmt: skip
    _json(artifacts / "heterogeneity.json", {
        "label_distance": 0.8, "label_distance_even": 0.1, "effective_classes": 2.0,
        "classes": classes, "size_gini": 0.3, "pixel_distance": 0.2, "pixel_distance_even": 0.05,
        "clusters": [c * 2 // clients for c in range(clients)], "views": views,
    })  # fmt: skip
    gap = {"difference": 0.3, "ratio": 0.6, "local_difference": 0.2, "local_worst": 0.5,
           "local_clients": 7}  # fmt: skip
    summary = json.loads((folder / "summary.json").read_text())
    summary["groups"] = {
        "by": "attribute", "attribute": "camera", "positive": None,
        "groups": {
            name: {"clients": 10, "mean": level, "worst10": level - 0.2, "samples": 300,
                   "accuracy": level}
            for name, level in (("phone", 0.8), ("webcam <old>", 0.5))
        },
        "gaps": {"accuracy": gap, "equal_opportunity": gap | {"class": "7"},
                 "demographic_parity": gap | {"class": "3"}},
    }  # fmt: skip
    _json(folder / "summary.json", summary)
    rows = [
        {"set": name, "images": 1000, "distance": level, "relative": level / 2,
         "too_close": share, "chance": 0.8, "advantage": share, "close": 3,
         "advantage_close": None, "flagged": level < 1,
         "percentiles": np.linspace(0.2, 2 * level, 100).tolist()}
        for name, level, share in (
            ("synthetic", 0.5, 0.4), ("noise", 9.0, 0.0), ("fresh real images", 2.0, 0.05)
        )
    ]  # fmt: skip
    judge = {"trained_on": 500, "steps": 600, "accuracy": 0.97}
    _json(artifacts / "probe.json", {"own": 900, "held_out": 200, "judge": judge, "sets": rows})
    Image.fromarray((rng.random((20, 100)) * 255).astype(np.uint8)).save(artifacts / "probe.png")
    return folder


def unfinish(folder: Path, state: str = "interrupted") -> Path:
    """Turns a finished run into one that stopped early."""
    (folder / "summary.json").unlink()
    _json(folder / "status.json", {"state": state, "round": 4, "eta": 12.0})
    return folder


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


def page_of(run: Path) -> str:
    """The page alone: pictures for paper cost ten times as much and have tests of their own."""
    data = collect(run)
    return html.page(data, draw_all(data))
