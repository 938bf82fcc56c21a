"""The data of all clients: converted once, dealt out once, then only memory-mapped.

Folders: ``<cache>/data/<content>/`` holds the converted columns, ``…/<content>/splits/<deal>/`` who
holds what. Both names are digests of all that the content depends on.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from fedzda.base import ImageSpec, UserError
from fedzda.platform import plugins
from fedzda.platform.config import DataConfig, TargetConfig, plain
from fedzda.platform.data.annotations import PIXELS
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.classes import check_classes, cut, held
from fedzda.platform.data.convert import convert
from fedzda.platform.data.partition import deal_out
from fedzda.platform.data.sources.paths import stamp
from fedzda.platform.data.sources.raw import Array, RawData
from fedzda.platform.data.store import cache_root, key, stored
from fedzda.platform.data.wanted import absent, further_columns
from fedzda.platform.files import read_json, write_json

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

CLIENT = "client-number"
"""Column that a task may ask for and no data set holds: the client that holds each sample."""

_NOT_DEALT_BY = ("image", "annotation", "clean", PIXELS)
"""Columns that no partitioner reads."""
_FORMAT = 1
"""Raise it when the meaning of cached files changes."""


@dataclass(frozen=True, eq=False)
class Federation:
    """A data set dealt out to clients; opening one costs milliseconds at any number of clients.

    Attributes:
        folder: Cache folder that :meth:`open` takes.
        image: Shape, classes, mean and standard deviation of the training pool.
        class_names: Names of the classes 0 .. K-1.
        train: Columns of the pool, memory-mapped: ``image`` uint8 (N, C, H, W), ``label`` int64
            (N,), and what the partitioner read. Annotated images bring ``annotation`` uint8
            (N, H, W), a class or 255 for void, and ``annotation-pixels`` int64 (N, K), the pixels
            of each class; their label is the most frequent class. Noisy images bring ``clean``
            uint8 (N, C, H, W), what they would be without noise.
        test: Columns of the global test set, which no client holds.
        num_clients: Number of clients.
    """

    folder: Path
    image: ImageSpec | None
    class_names: list[str]
    train: dict[str, Array]
    test: dict[str, Array]
    num_clients: int
    _indices: dict[Split, Ints]
    _offsets: dict[Split, Ints]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """What every process does with the ``folder`` of a prepared federation."""
        content = folder.parent.parent
        meta = read_json(content / "meta.json")
        names = meta["class_names"]
        shape, mean, std = (tuple(meta[name]) for name in ("shape", "mean", "std"))
        offsets: dict[Split, Ints] = {
            split: _map(folder / f"{split}-offsets.npy") for split in SPLITS
        }
        return cls(
            folder=folder,
            image=ImageSpec(shape, len(names), mean, std),
            class_names=names,
            train=_columns(content, "train", meta["train"]),
            test=_columns(content, "test", meta["test"]),
            num_clients=len(offsets["train"]) - 1,
            _indices={split: _map(folder / f"{split}-indices.npy") for split in SPLITS},
            _offsets=offsets,
        )

    @cached_property
    def client_ids(self) -> list[str] | None:
        """Natural names of the clients, if they have any."""
        file = self.folder / "client-ids.json"
        names: list[str] | None = read_json(file) if file.exists() else None
        return names

    def indices(self, client: int, split: Split) -> Ints:
        """Rows of ``train`` of a client for ``split``, ascending; a view, nothing is copied."""
        offsets = self._offsets[split]
        return self._indices[split][offsets[client] : offsets[client + 1]]

    def pool(self, split: Split) -> Ints:
        """Rows of ``train`` of all clients for ``split``, client by client; a view."""
        return self._indices[split]

    def sizes(self, split: Split) -> Ints:
        """(num_clients,) samples of each client."""
        return np.diff(self._offsets[split])

    @cached_property
    def owner(self) -> Ints:
        """Client of each row of ``train``; 0 for a row that nobody holds, which is never asked."""
        owner = np.zeros(len(self.train["label"]), dtype=np.int64)
        for split in SPLITS:
            owner[self.pool(split)] = np.repeat(np.arange(self.num_clients), self.sizes(split))
        return owner

    def label_counts(self, split: Split) -> Ints:
        """(num_clients, num_classes) samples of each client and class."""
        classes = len(self.class_names)
        owner = np.repeat(np.arange(self.num_clients), self.sizes(split))
        cells = owner * classes + self.train["label"][self._indices[split]]
        counts = np.bincount(cells, minlength=self.num_clients * classes)
        return counts.reshape(self.num_clients, classes)


def prepare(config: DataConfig, seed: int, base_folder: Path) -> Federation:
    """Convert, partition and split, or take each of them from the cache.

    Args:
        config: The ``data`` block.
        seed: Seed of the run; ``config.seed`` wins where it is set.
        base_folder: Where relative paths start: the folder of the YAML file.

    Raises:
        UserError: Anything wrong with the data or the way it is to be dealt out; the cache is left
            without half-made folders.
    """
    if config.test_fraction + config.validation_fraction >= 1.0:
        raise UserError(
            f"data.test_fraction is {config.test_fraction} and data.validation_fraction "
            f"{config.validation_fraction}: together they must stay below 1."
        )
    data = _source(config, base_folder)
    content = stored(
        cache_root() / "data" / key(*_content_key(config, data)),
        lambda folder: convert(data.read(), folder, config.group, config.group_without),
    )
    meta = read_json(content / "meta.json")
    if config.attribute is not None and config.attribute not in meta["train"]:
        raise UserError(absent("data.attribute", config.attribute, meta["train"], "the data set"))
    seed = config.seed if config.seed is not None else seed
    classes, shown = config.classes, content
    if classes is not None:
        check_classes(classes, meta)
        parts = [*_content_key(config, data), "classes", classes]
        shown = stored(cache_root() / "data" / key(*parts), partial(cut, content, classes))

    def build(folder: Path) -> None:
        columns = _columns(content, "train", meta["train"])
        pixels = columns.get(PIXELS)
        small = {name: c for name, c in columns.items() if name not in _NOT_DEALT_BY}
        splits, client_ids = deal_out(config, small, meta["class_names"], seed, pixels)
        if classes is not None:
            splits = held(splits, small["label"], classes)
        for name, part in splits._asdict().items():
            np.save(folder / f"{name}-indices.npy", part.indices.astype(np.int64))
            np.save(folder / f"{name}-offsets.npy", part.offsets.astype(np.int64))
        if client_ids is not None:
            write_json(folder / "client-ids.json", client_ids)

    return Federation.open(stored(shown / "splits" / key(*_deal_key(config, seed)), build))


def _source(config: DataConfig, base_folder: Path) -> RawData:
    """The data set, not read yet; a user's ``target`` is called with its ``args``."""
    if isinstance(config, TargetConfig):
        data = plugins.import_target(config.target)(**config.args)
    else:
        data = plugins.load("datasets", config.name)(config, base_folder)
    if not isinstance(data, RawData):
        raise UserError(
            f"the data set '{config.name}' returned {type(data).__name__}: it must return a "
            "fedzda.platform.data.sources.raw.RawData, for example RawData.from_arrays(…)."
        )
    return data


def _content_key(config: DataConfig, data: RawData) -> list[Any]:
    """All that the converted columns depend on: identity, keys of the source, further columns."""
    shared = set(DataConfig.model_fields) - {"name"}
    own = {name: value for name, value in plain(config).items() if name not in shared}
    grouped = [] if config.group is None else [config.group, config.group_without]
    return [_FORMAT, own, data.identity, list(further_columns(config)), *grouped]


def _deal_key(config: DataConfig, seed: int) -> list[Any]:
    """All that the index depends on: the deal's keys and the versions that draw the numbers.

    A partitioner of the user's own is identified by its file too, so that an edit takes effect.
    """
    block = config.partition
    names = (
        "clients",
        "test_fraction",
        "validation_fraction",
        "max_samples",
        "missing_classes",
        "split",
    )
    values = plain(config)
    deal = [_FORMAT, seed, values["partition"], [values[name] for name in names]]
    if config.group is not None:
        deal += [config.group, config.group_without]
    if isinstance(block, TargetConfig):
        target = block.target
    else:
        target = plugins.entry("partitioners", block.name).target
    if not target.startswith("fedzda."):
        file = inspect.getsourcefile(plugins.import_target(target))
        deal.append(stamp(Path(file)) if file else target)
    return [*deal, np.__version__, version("flwr-datasets")]


def _columns(folder: Path, split: str, names: list[str]) -> dict[str, Array]:
    return {name: _map(folder / f"{split}-{number}.npy") for number, name in enumerate(names)}


def _map(file: Path) -> Array:
    return np.asarray(np.load(file, mmap_mode="r"))
