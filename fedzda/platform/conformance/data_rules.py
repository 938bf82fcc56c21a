"""What data sets, partitioners and shifts must do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.base import ImageSpec
from fedzda.platform import plugins
from fedzda.platform.conformance.findings import Broken
from fedzda.platform.conformance.run_rules import RUNS_TWICE
from fedzda.platform.data.sources.raw import RawData, RawTables
from fedzda.platform.rounds import seeded_globals

if TYPE_CHECKING:
    from fedzda.platform.conformance.check import Bench, Rule

# ---------------------------------------------------------------------------------------------
# Data sets


def _data(bench: Bench) -> RawData:
    subject = bench.subject
    if "target" in subject.block:
        found = subject.component(**subject.block["args"])
    else:
        block = plugins.config_class("datasets", subject.block["name"])
        found = subject.component(block.model_validate(subject.block), bench.folder)
    if not isinstance(found, RawData):
        raise Broken(
            f"it returned {type(found).__name__}, and must return RawData "
            "(fedzda.platform.data.sources.raw), for example RawData.from_arrays((images, labels))."
        )
    return found


def has_an_identity(bench: Bench) -> None:
    """It can be asked what it is without being read."""
    first, second = _data(bench).identity, _data(bench).identity
    if not first or not all(isinstance(text, str) for text in first):
        raise Broken(f"identity must be a list of texts that changes with the data (got {first}).")
    if first != second:
        raise Broken(
            f"identity changes from call to call ({first} and {second}): the prepared data would "
            "never be found again. Leave out what is random or the time."
        )


def reads(bench: Bench) -> None:
    """Its rows are there and the same every time."""
    first, second = (_data(bench).read() for _ in range(2))
    if not isinstance(first, RawTables):
        raise Broken(f"read() returned {type(first).__name__}, and must return RawTables.")
    if not len(first.train.labels):
        raise Broken("it has no row to train on.")
    if not np.array_equal(first.train.labels, second.train.labels):
        raise Broken(
            "read() gives other labels each time: what is drawn at random needs a fixed seed."
        )
    images = [_images(tables) for tables in (first, second)]
    if images[0] is not None and not np.array_equal(*images):
        raise Broken("read() gives other images each time: what is drawn needs a fixed seed.")


def _images(tables: RawTables) -> Any:
    return None if callable(tables.train.images) else tables.train.images


# ---------------------------------------------------------------------------------------------
# Partitioners

_CASES = ((60, 3, 5), (40, 4, 1), (97, 10, 8))
"""Rows, classes and clients of made-up labels."""


def _assign(bench: Bench) -> Any:
    block = bench.subject.block
    if "target" in block:
        return partial(bench.subject.component, **block["args"])
    config = plugins.config_class("partitioners", block["name"]).model_validate(block)
    return partial(bench.subject.component, config)


def _dealt(bench: Bench, rows: int, classes: int, clients: int) -> tuple[Any, Any]:
    labels = np.arange(rows) % classes
    kept = labels.copy()
    found = _assign(bench)(
        labels=labels, columns={}, num_clients=clients, rng=np.random.default_rng(7)
    )
    if not np.array_equal(labels, kept):
        raise Broken("it changes the labels that it is given: work on a copy.")
    if not isinstance(found, tuple) or len(found) not in (2, 3):
        raise Broken(
            "it must return (indices, offsets): the rows client by client, and where each client "
            f"starts (got {type(found).__name__})."
        )
    return np.asarray(found[0]), np.asarray(found[1])


def deals(bench: Bench) -> None:
    """Every row goes to one client at most, and the borders are right."""
    for rows, classes, clients in _CASES:
        case = f"{rows} rows dealt to {clients} clients"
        indices, offsets = _dealt(bench, rows, classes, clients)
        if offsets.shape != (clients + 1,) or offsets[0] != 0 or offsets[-1] != len(indices):
            raise Broken(
                f"{case}: offsets must have {clients + 1} entries from 0 to the number of dealt "
                f"rows, {len(indices)} (got {offsets.tolist()})."
            )
        if (np.diff(offsets) < 0).any():
            raise Broken(f"{case}: offsets must not fall (got {offsets.tolist()}).")
        if indices.dtype.kind not in "iu" or ((indices < 0) | (indices >= rows)).any():
            raise Broken(f"{case}: indices must be whole numbers from 0 to {rows - 1}.")
        if len(np.unique(indices)) != len(indices):
            raise Broken(f"{case}: a row is dealt to more than one client.")


def leaves_nobody_out(bench: Bench) -> None:
    """Every client gets something."""
    for rows, classes, clients in _CASES:
        _, offsets = _dealt(bench, rows, classes, clients)
        empty = np.flatnonzero(np.diff(offsets) == 0)
        if empty.size:
            raise Broken(
                f"{rows} rows dealt to {clients} clients leave client {empty[0]} without any: "
                "give each client one row first."
            )


def deals_the_same(bench: Bench) -> None:
    """The deal is a function of the labels and of ``rng``."""
    first = _dealt(bench, *_CASES[0])
    with seeded_globals(1, 0):  # which must not matter
        second = _dealt(bench, *_CASES[0])
    if any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True)):
        raise Broken(
            "equal rng give other deals: draw from the rng that is given, from nothing else."
        )


# ---------------------------------------------------------------------------------------------
# Shifts

_IMAGE = ImageSpec((1, 8, 8), 10, (0.5,), (0.5,))
_UNITS = 3


def _shift(bench: Bench) -> Any:
    block = bench.subject.block
    if "target" in block:
        return bench.subject.component(num_units=_UNITS, image=_IMAGE, seed=0, **block["args"])
    config = plugins.config_class("shifts", block["name"]).model_validate(block)
    return bench.subject.component(config, _UNITS, _IMAGE, 0)


def transforms(bench: Bench) -> None:
    """Pixels keep their shape, stay in [0, 1], and are the same every time."""
    import torch

    pixels = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    unit, row = torch.arange(6) % _UNITS, torch.arange(6)
    kept = pixels.clone()
    first, second = (_shift(bench).apply(pixels, unit, row) for _ in range(2))
    if not torch.equal(pixels, kept):
        raise Broken("apply changes the pixels that it is given: work on a copy.")
    if first.shape != pixels.shape or first.dtype != pixels.dtype:
        raise Broken(f"apply must keep shape and type (got {tuple(first.shape)}, {first.dtype}).")
    if not ((first >= 0) & (first <= 1)).all():
        raise Broken("apply must give pixels in [0, 1]: clamp them.")
    if not torch.equal(first, second):
        raise Broken(
            "equal images of equal clients look different the second time: what is random must "
            "follow from the seed, unit_N and row_N."
        )
    if not all(isinstance(_shift(bench).describe(unit), str) for unit in range(_UNITS)):
        raise Broken("describe must return a few words for each unit.")


RULES: dict[str, list[Rule]] = {
    "dataset": [
        ("it knows what it is without being read", has_an_identity),
        ("it gives the same rows every time", reads),
        RUNS_TWICE,
    ],
    "partitioner": [
        ("each row goes to one client at most", deals),
        ("every client gets something", leaves_nobody_out),
        ("equal random numbers give equal deals", deals_the_same),
        RUNS_TWICE,
    ],
    "shift": [
        ("images keep their shape and look the same twice", transforms),
        RUNS_TWICE,
    ],
}
