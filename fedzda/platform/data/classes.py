"""Some of the classes of a data set, cut out after everything was dealt.

Who holds which sample, what is kept for testing and how pixels are normalised does not depend on
the choice. So a model can go from a run on some classes to a run on all of them, and nobody is
tested on a sample that somebody has trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.annotations import PIXELS
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.split import Splits
from fedzda.platform.files import read_json, write_json


def check_classes(classes: Sequence[int], meta: dict[str, Any]) -> None:
    """Raise UserError unless ``classes`` can be cut out of the data set that ``meta`` describes."""
    known = len(meta["class_names"])
    problems = []
    if PIXELS in meta["train"]:
        problems.append(
            "data.classes chooses samples by their label, and annotated images show several "
            "classes each. Leave it out."
        )
    if len(set(classes)) < len(classes):
        problems.append(f"data.classes must name every class once (got {list(classes)}).")
    if beyond := [label for label in classes if label >= known]:
        problems.append(
            f"data.classes names class {beyond[0]}, and the data set has {known}: 0 to {known - 1}."
        )
    if problems:
        raise UserError(*problems)


def cut(content: Path, classes: Sequence[int], folder: Path) -> None:
    """Write the samples of ``classes`` into ``folder``; their labels are positions in it.

    Args:
        content: Folder of the whole data set, see :mod:`fedzda.platform.data.convert`.
        classes: Checked by :func:`check_classes`.
        folder: Gets the same files, with fewer rows and the same mean and standard deviation.
    """
    meta = read_json(content / "meta.json")
    position = np.full(len(meta["class_names"]), -1, dtype=np.int64)
    position[list(classes)] = np.arange(len(classes))
    for split in ("train", "test"):
        names = meta[split]
        files = [f"{split}-{number}.npy" for number in range(len(names))]
        labels = position[np.load(content / files[names.index("label")])]
        rows = np.flatnonzero(labels >= 0)
        for name, file in zip(names, files, strict=True):
            column = labels if name == "label" else np.load(content / file, mmap_mode="r")
            np.save(folder / file, column[rows])
    names = [meta["class_names"][label] for label in classes]
    write_json(folder / "meta.json", {**meta, "class_names": names})


def held(splits: Splits, labels: Ints, classes: Sequence[int]) -> Splits:
    """Who holds what of ``classes``, in rows of what :func:`cut` wrote.

    Args:
        splits: Who holds what of all classes.
        labels: (N,) of the whole pool.
        classes: Those that are kept.

    Raises:
        UserError: A client has nothing left to train on.
    """
    kept = np.isin(labels, classes)
    row = np.cumsum(kept) - 1
    parts = {}
    for name, part in splits._asdict().items():
        own = kept[part.indices]
        before = np.concatenate([[0], np.cumsum(own)])
        left = row[part.indices[own]]
        parts[name] = part._replace(indices=left, offsets=before[part.offsets])
    made = Splits(**parts)
    empty = np.flatnonzero(np.diff(made.train.offsets) == 0)
    if len(empty):
        raise UserError(
            f"data.classes leaves client {empty[0]} nothing to train on. Name more classes, or "
            "choose a partition that gives every client several, such as dirichlet."
        )
    return made
