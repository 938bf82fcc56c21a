"""How long cells take, where nothing may be timed: from those that are finished."""

import json

import pytest

from fedzda.platform.sweep import duration
from fedzda.platform.sweep.cells import expand, result_path
from fedzda.platform.sweep.load import load_sweep
from fedzda.platform.sweep.plan import plan


@pytest.fixture
def sweep(write, monkeypatch):
    monkeypatch.setattr(duration, "PILOTS_SEC", 0.0)
    return load_sweep(write())


def finish(sweep, cells, **seconds):
    """Give the cells of these names a result that took so long."""
    for cell in cells:
        if cell.name in seconds:
            path = result_path(sweep, cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"hash": cell.hash, "seconds": seconds[cell.name]}))


def timed(sweep, cells, able=None):
    kinds = duration.kinds_of(sweep, cells, cells if able is None else able)
    duration.time_kinds(sweep, kinds, lambda name: pytest.fail(f"a pilot of {name}"))
    return {kind.name: kind for kind in kinds}


def test_what_is_not_timed_follows_from_its_relatives(sweep):
    cells = expand(sweep)
    known = {"few/fed-avg-s0": 10, "few/fed-avg-s1": 20, "few/fed-prox-s0": 45}
    finish(sweep, cells, **known, **{"skewed/fed-avg-s1": 5})
    found = timed(sweep, cells)
    assert found["few fed-avg"].seconds == 15
    assert not found["few fed-avg"].estimated
    # fed-prox takes three times as long, the other split a third
    assert found["skewed fed-prox"].seconds == pytest.approx(15)
    assert found["skewed fed-prox"].estimated
    assert len(found["skewed fed-prox"].waiting) == 2
    assert [cell.seed for cell in found["few fed-prox"].waiting] == [1]
    text = plan(sweep, cells, 2, lambda name: None)
    rows = [line.split() for line in text.splitlines()]
    assert ["few", "fed-avg", "2", "2", "0", "0:15", "0:00"] in rows
    assert ["skewed", "fed-prox", "2", "0", "2", "~0:15", "~0:30"] in rows
    assert "~: estimated" in text


def test_nothing_known_is_unknown(sweep):
    cells = expand(sweep)
    assert {kind.seconds for kind in timed(sweep, cells).values()} == {None}
    assert plan(sweep, cells, 1, lambda name: None).endswith("about 0:00 and the unknown cells.")


def test_what_cannot_run_here_is_not_estimated(sweep):
    cells = expand(sweep)
    finish(sweep, cells, **{"few/fed-avg-s0": 10})
    found = timed(sweep, cells, able=[cell for cell in cells if "prox" not in cell.name])
    assert found["few fed-prox"].seconds is None
    assert found["few alone"].seconds == pytest.approx(10)
