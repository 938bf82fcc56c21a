"""Seconds that depend on fedzda and Ray rather than on the model: fitted once, kept beside.

``python benchmarks/costs.py --fit`` measures rounds of many sizes and writes ``rates.json``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fedzda.base import StrictConfig


class Rates(StrictConfig):
    """Seconds per unit, of one machine; bytes are those of the model's arrays."""

    machine: str
    """Where they were measured."""
    date: str
    """When."""
    start: float
    """Launch to the first round on one process, data in the cache."""
    start_ray: float
    """More for Ray itself."""
    start_worker: float
    """More for each of its workers, divided by the cores that start them."""
    stop_ray: float
    """To end Ray after the run."""
    schedule: float
    """The driver, per client drawn: its message."""
    handle: float
    """The driver, per client that trains or is evaluated: the call, the reply, the records."""
    serve: float
    """A worker, per client that trains: seeds, limits, checks."""
    aggregate: float
    """The driver, per reply of a strategy that gets the mean from the workers."""
    combine_byte: float
    """The driver, per byte of a model that the strategy gets and averages."""
    round: float
    """Per round: status, rounds.jsonl, the part of the client table."""
    registered: float
    """Per round and registered client."""
    journey: float
    """A chunk from the driver to a worker and back, beside the work itself."""
    dispatch: float
    """The part of a journey in which the driver is busy."""
    ray_client: float
    """The driver, per client whose call and reply travel."""
    put_byte: float
    """The driver, per byte of a model that is given to all workers."""
    load_byte: float
    """A worker, per byte and client: the model loaded, checked and copied."""
    add_byte: float
    """More where the worker sums the models up."""
    sum_byte: float
    """The driver, per byte and chunk: the sum of a chunk's models received and added."""
    reply_byte: float
    """The driver, per byte and client: a model received by itself."""
    slowdown: float
    """How much longer a client takes while all workers of a machine are busy."""
    checkpoint: float
    """A checkpoint."""
    checkpoint_byte: float
    """More per byte."""
    finish: float
    """Summary and artifacts."""
    report: float
    """report.html."""
    finish_row: float
    """More per row of the client table."""


@cache
def shipped_rates() -> Rates:
    """The rates that come with fedzda."""
    text = files("fedzda.platform.costs").joinpath("rates.json").read_text(encoding="utf-8")
    return Rates.model_validate_json(text)
