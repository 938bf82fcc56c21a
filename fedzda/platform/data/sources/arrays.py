"""NumPy arrays in an ``.npz`` file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.config import ArraysConfig
from fedzda.platform.data.sources.paths import resolve, stamp
from fedzda.platform.data.sources.raw import Array, RawData, RawTable, RawTables
from fedzda.platform.data.wanted import absent, further_columns


def load(config: ArraysConfig, base_folder: Path) -> RawData:
    """Images and labels by key. The file is read whole, so it must fit in memory once.

    Raises:
        UserError: Nothing at the path; (when read) no ``.npz``, a key missing, pickled objects.
    """
    path = resolve(config.path, base_folder)
    if (config.test_image is None) != (config.test_label is None):
        raise UserError("data.test_image and data.test_label belong together: set both or neither.")
    return RawData([stamp(path)], lambda: _read(config, path))


def _read(config: ArraysConfig, path: Path) -> RawTables:
    extra = further_columns(config, config.label)
    keys = [("data.image", config.image), ("data.label", config.label)]
    keys += [(key, name) for name, key in extra.items()]
    if config.test_image is not None and config.test_label is not None:
        keys += [("data.test_image", config.test_image), ("data.test_label", config.test_label)]
    found = _arrays(path, keys)
    columns = {name: found[name] for name in extra}
    test = None
    if config.test_image is not None and config.test_label is not None:
        where = f"the test part of {path.name}"
        test = RawTable(found[config.test_image], found[config.test_label], where=where)
    return RawTables(
        RawTable(found[config.image], found[config.label], columns, where=path.name),
        test,
        size=config.size,
        channels=config.channels,
    )


def _arrays(path: Path, keys: list[tuple[str, str]]) -> dict[str, Array]:
    """The arrays of (configuration key, name in the file); all missing ones are told at once."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        with loaded as file:
            missing = [absent(*key, file.files, path.name) for key in keys if key[1] not in file]
            if missing:
                raise UserError(*missing)
            return {name: file[name] for _, name in keys}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        # NumPy takes every file that it does not know for a pickle, and advises to open it
        reason = "it is another kind of file" if "pickle" in str(error) else f"{error}"
        if zipfile.is_zipfile(path) and "pickle" in str(error):
            reason = "it holds Python objects, which are never opened here"
        raise UserError(
            f"data.path is {path}, which cannot be read as .npz of plain arrays: "
            f"{reason.rstrip('.')}. Write one with numpy.savez."
        ) from error
