"""A sweep of two arms over two partitions of digits, small enough to run in seconds."""

from __future__ import annotations

import pytest

from fedzda.platform.config.yaml_loader import dump

TEXT = {
    "name": "small",
    "base": {
        "rounds": 2,
        "data": {
            "name": "digits",
            "clients": 4,
            "max_samples": 160,
            "partition": {"name": "pathological", "classes_per_client": 4},
            "test_fraction": 0.25,
        },
        "model": {"name": "mlp"},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
    },
    "axes": {
        "data": {
            "few": {"about": "four classes"},
            "skewed": {"changes": {"data.partition": {"name": "dirichlet", "alpha": 5.0}}},
        }
    },
    "arms": {
        "fed-avg": {"group": "shared"},
        "fed-prox": {"group": "shared", "changes": {"strategy.name": "fed-prox"}},
        "alone": {
            "group": "own",
            "only": {"data": ["few"]},
            "changes": {"strategy.name": "local-only"},
        },
    },
    "seeds": [0, 1],
    "baseline": "fed-avg",
    "alone": "alone",
    "results": "results",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a sweep file with changed keys into an empty working directory; returns its name."""
    monkeypatch.chdir(tmp_path)

    def file(**changes):
        content = {key: value for key, value in (TEXT | changes).items() if value is not None}
        (tmp_path / "small.yaml").write_text(dump(content), encoding="utf-8")
        return "small.yaml"

    return file
