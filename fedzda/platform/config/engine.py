"""The block ``engine:``: what runs the clients."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedzda.base import StrictConfig


class EngineConfig(StrictConfig):
    """What every engine shares."""

    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where clients train; ``auto``: the GPU if torch sees one."""
    vectorise: bool | Literal["auto"] = "auto"
    """Train the clients of a chunk at once, in one batched form of the model, where model, task and
    method allow it; ``auto``: on a GPU only. Equal to one after the other up to rounding."""
    client_timeout: float | None = Field(default=None, gt=0)
    """Seconds after which a client counts as failed; left out: no limit."""


class InlineConfig(EngineConfig):
    """One process: easy to debug, no start-up cost."""

    name: Literal["inline"] = "inline"


class RayConfig(EngineConfig):
    """Ray actors: many processes on one machine or a cluster."""

    name: Literal["ray"] = "ray"
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of worker processes; ``auto``: one per core, or what fits the GPUs."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Share of a GPU per worker; ``auto``: 0 without GPUs, else as many workers share a GPU as its
    memory has room for, measured on the client with the most samples (at most the cores)."""
    address: str | None = None
    """Address of a running Ray cluster (``auto`` or ``host:port``), which the run joins and leaves;
    left out: a local one is started and stopped with the run. Every node needs the same packages
    and must see the folder of prepared data (FEDZDA_CACHE) under the same path; modules beside the
    YAML file are sent along."""
    object_store_mb: int = Field(default=256, ge=80)
    """Cap on Ray's shared-memory store of a local cluster."""
    max_worker_mb: int | None = Field(default=None, ge=1)
    """Resident memory in MiB above which a worker is replaced between chunks, for models that leak;
    left out: no limit. A fresh worker with torch takes about 400."""


class FlowerConfig(EngineConfig):
    """Flower's stock simulation engine, for comparison. Not bitwise reproducible."""

    name: Literal["flower"] = "flower"
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of Flower actors."""
