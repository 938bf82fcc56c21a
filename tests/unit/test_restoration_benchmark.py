"""The federated studies of benchmarks/restoration.py: their arms are valid, their table adds up."""

import json
import sys
from pathlib import Path

import pytest

from fedzda.platform.config.load import load_config

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from restoration_cases import federated, study
from restoration_cases import page as restoration_page

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


def test_trained_studies_have_a_place_on_the_page_and_a_picture(tmp_path, monkeypatch):
    marks = (restoration_page.PAGE).read_text(encoding="utf-8")
    assert "<!-- table denoise -->" in marks
    assert "<!-- table sr -->" in marks
    monkeypatch.setattr(restoration_page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    monkeypatch.setattr(study, "PICTURES", tmp_path)
    (tmp_path / "page.md").write_text("a\n<!-- table sr -->\n<!-- end -->\nb\n")
    (tmp_path / "sr").mkdir()
    curve = [{"step": n, "seconds": 1800 * n, "quick_psnr_y": 29.0 + n} for n in (1, 2)]
    cell = {"arm": "imdn", "seed": 0, "figures": {"psnr_y": 31.0}, "parameters": 93105}
    cell |= {"training": {"steps": 2}, "seconds": 3600, "curve": curve}
    cell |= {"machine": "x", "date": "2026-11-23"}
    (tmp_path / "sr" / "imdn-s0.json").write_text(json.dumps(cell))
    assert "| imdn | 0 | 93,105 | 2 | 1.00 | 31 |" in restoration_page.update("sr")
    assert "| imdn | 0 |" in (tmp_path / "page.md").read_text()
    assert "hours of training" in (tmp_path / "sr-hours.svg").read_text()
