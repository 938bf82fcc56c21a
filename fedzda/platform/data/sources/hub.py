"""A Hugging Face data set by name, through ``datasets`` (which flwr-datasets builds on).

``datasets`` keeps what it fetched in its own cache and honours ``HF_HUB_OFFLINE``; once converted,
fedzda's cache is used and nothing is asked of the network. ``FederatedDataset`` is not used: it
would send a usage event.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.data.sources.arrow import PictureColumns, raw_table
from fedzda.platform.data.sources.config import HubConfig
from fedzda.platform.data.sources.paths import stamps
from fedzda.platform.data.sources.raw import RawData, RawTables
from fedzda.platform.data.wanted import further_columns

_ROWS = 256
"""Encoded images held in memory at once."""


def load(config: HubConfig, base_folder: Path) -> RawData:
    """The named splits of a data set.

    A local folder is identified by its files; a repository by name and revision, because asking
    the hub each time would need the network.

    Raises:
        UserError: (when read) not found, no network, no such subset or split.
    """
    folder = base_folder / Path(config.repo).expanduser()
    local = folder.is_dir()
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if local else []
    return RawData(
        [config.repo, *stamps(files)], lambda: _read(config, str(folder) if local else config.repo)
    )


def _read(config: HubConfig, repo: str) -> RawTables:
    splits = _fetch(config, repo)
    wanted = {"data.train_split": config.train_split, "data.test_split": config.test_split}
    absent = [
        f"{key} is '{name}', but '{config.repo}' has only: {', '.join(splits)}."
        + (" Set it to null to hold out a tenth." if key == "data.test_split" else "")
        for key, name in wanted.items()
        if name is not None and name not in splits
    ]
    if absent:
        raise UserError(*absent)
    train = splits[config.train_split]
    names = further_columns(config, config.label)
    test = splits[config.test_split] if config.test_split else None
    image = PictureColumns(config.image)
    return RawTables(
        raw_table(HubSplit(train, config.train_split), image, config.label, names),
        raw_table(HubSplit(test, "test split"), image, config.label, {}) if test else None,
        class_names=getattr(train.features.get(config.label), "names", None),
        size=config.size,
        channels=config.channels,
    )


def _fetch(config: HubConfig, repo: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(repo, config.subset, revision=config.revision)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"data.repo '{config.repo}' cannot be loaded: {reason} Check repo, subset and "
            "revision; without network it must have been fetched before."
        ) from error


class HubSplit:
    """One split of a data set, with its images left encoded."""

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset = dataset.with_format("arrow")
        self.where = f"split '{name}'"

    def types(self) -> dict[str, Any]:
        """Arrow type of each column."""
        schema = self.dataset.features.arrow_schema
        return dict(zip(schema.names, schema.types, strict=True))

    def rows(self) -> int:
        """Number of rows."""
        return len(self.dataset)

    def column(self, name: str) -> Any:
        """One column, in memory."""
        return self.dataset.select_columns([name])[:].column(name)

    def batches(self, name: str) -> Iterator[tuple[str, int, Any]]:
        """One column, some hundred rows at a time."""
        first = 0
        for piece in self.dataset.select_columns([name]).iter(_ROWS):
            yield self.where, first, piece.column(name)
            first += len(piece)
