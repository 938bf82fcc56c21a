"""Between Flower's records (npy bytes) and plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

Arrays = dict[str, Any]
"""Named NumPy arrays or torch tensors."""


@dataclass
class Content:
    """What a message carries, without Flower's byte encoding: records by name, by kind."""

    arrays: dict[str, Arrays] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """The first config record, which strategies call ``config``."""
        return next(iter(self.configs.values()), {})

    def num_bytes(self) -> int:
        """Size of the arrays in bytes: what a device would transfer."""
        return sum(_nbytes(value) for record in self.arrays.values() for value in record.values())


def _nbytes(value: Any) -> int:
    return int(value.nbytes)


def arrays_of(record: ArrayRecord) -> dict[str, np.ndarray]:
    """A Flower record as NumPy arrays."""
    return {name: array.numpy() for name, array in record.items()}


def array_record(arrays: Mapping[str, Any]) -> ArrayRecord:
    """NumPy arrays or tensors as a Flower record."""
    return ArrayRecord({name: Array(_numpy(value)) for name, value in arrays.items()})


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def restore_dtypes(record: ArrayRecord, like: Mapping[str, np.ndarray]) -> ArrayRecord:
    """Give aggregated arrays the types of the model's (Flower returns floats for integers)."""
    changed = {}
    for name, array in record.items():
        wanted = like[name].dtype if name in like else None
        if wanted is None or np.dtype(array.dtype) == wanted:
            changed[name] = array
        else:
            value = array.numpy()
            rounded = np.rint(value) if wanted.kind in "iub" else value
            changed[name] = Array(np.asarray(rounded).astype(wanted))
    return ArrayRecord(changed)


def to_content(record: RecordDict) -> Content:
    """A Flower record dict as plain content."""
    return Content(
        arrays={name: arrays_of(value) for name, value in record.array_records.items()},
        metrics={name: dict(value) for name, value in record.metric_records.items()},
        configs={name: dict(value) for name, value in record.config_records.items()},
    )


def to_record(content: Content) -> RecordDict:
    """Plain content as a Flower record dict."""
    record = RecordDict()
    for name, arrays in content.arrays.items():
        record[name] = array_record(arrays)
    for name, metrics in content.metrics.items():
        record[name] = MetricRecord(metrics)
    for name, config in content.configs.items():
        record[name] = ConfigRecord(config)
    return record
