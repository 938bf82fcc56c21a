"""The federated studies of benchmarks/restoration.py: their arms are valid, their table adds up."""

import json
import sys
from pathlib import Path

import pytest

from fedzda.platform.config.load import load_config

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from restoration_cases import federated

ARMS = [(name, arm) for name, study in federated.STUDIES.items() for arm in study.arms]


@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_every_arm_is_a_valid_simulation(name, arm):
    study = federated.STUDIES[name]
    changes = [f"{key.replace('__', '.')}={json.dumps(v)}" for key, v in study.arms[arm].items()]
    loaded = load_config(study.base, changes)
    assert loaded.config.name == study.base


def test_table_has_means_over_seeds_and_the_worst_client(tmp_path, monkeypatch):
    monkeypatch.setattr(federated, "RESULTS", tmp_path)
    (tmp_path / "fed-sr").mkdir()
    for seed, level in ((0, 30.0), (1, 32.0)):
        clients = {"global": {"a": {"psnr": level, "ssim": 0.9}, "b": {"psnr": level - 4}}}
        cell = {"arm": "bicubic", "seed": seed, "clients": clients}
        (tmp_path / "fed-sr" / f"bicubic-s{seed}.json").write_text(json.dumps(cell))
    lines = federated.table("fed-sr").splitlines()
    assert lines[0] == "| arm | models | seeds | a | b | worst |"
    assert lines[2] == "| bicubic | global | 2 | 31.00 | 27.00 | 27.00 |"
    assert federated.table("polyu") == "polyu: no results yet"
