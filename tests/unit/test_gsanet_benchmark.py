"""The script of benchmarks/gsanet.py: a trial run never passes for a cell of the study."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import gsanet


def test_a_trial_has_checkpoints_and_results_of_its_own(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(gsanet, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gsanet, "finished", lambda path, make: asked.append(path))
    for epochs in ([], ["--epochs", "2"]):
        words = ["gsanet.py", "--run", "ladder", "--seeds", "0", "--work", str(tmp_path / "work")]
        monkeypatch.setattr(sys, "argv", [*words, *epochs])
        gsanet.main()
    kept = [path for path in asked if path.parent == tmp_path / "results"]
    assert len(kept) == len(asked) / 2
    assert {path.parent for path in asked} - {tmp_path / "results"} == {
        tmp_path / "work" / "tried-2" / "results"
    }
