"""The cost model: rounds by hand, hints of configurations, and a pilot of a real simulation."""

from pathlib import Path
from typing import ClassVar

import pytest

from fedzda.base import StrictConfig
from fedzda.platform.config.load import from_dict
from fedzda.platform.costs.forecast import forecast
from fedzda.platform.costs.hints import has_amounts, phases, shortened
from fedzda.platform.costs.pilot import Timed, extrapolated, piloted, quickest
from fedzda.platform.costs.rates import Rates, shipped_rates
from fedzda.platform.costs.rounds import Jobs, Load, jobs_seconds, makespan, round_seconds
from fedzda.platform.recorder import read_clients
from fedzda.platform.simulation import Simulation

_ZERO = dict.fromkeys(set(Rates.model_fields) - {"machine", "date", "slowdown"}, 0.0)
FREE = Rates(machine="", date="", slowdown=1.0, **_ZERO)


class Maker(StrictConfig):
    amounts: ClassVar[tuple[str, ...]] = ("steps",)
    steps: int = 100
    images: int = 7


class Early(StrictConfig):
    begins: ClassVar[tuple[str, ...]] = ("start",)
    assume: ClassVar[dict[str, float]] = {"gate": 0.0}
    start: int = 3
    gate: float = 0.5


class Both(Early):
    begins: ClassVar[tuple[str, ...]] = ("late",)
    late: int = 5
    maker: Maker = Maker()


def plain_simulation(**changes):
    raw = {
        "name": "tiny",
        "rounds": 6,
        "data": {"name": "digits", "clients": 40, "test_fraction": 0.25},
        "model": {"name": "mlp", "hidden": [8], "norm": "batch"},
        "strategy": {"name": "fed-avg", "clients_per_round": 20},
        "engine": {"name": "inline", "device": "cpu"},
        **changes,
    }
    return Simulation.build(from_dict(raw))


def timed(**changes):
    values = {
        "cohort": 4,
        "reduced": True,
        "schedule_sec": 1.0,
        "client_sec": 1.0,
        "aggregate_sec": 1.0,
        "evaluated": 0,
        "evaluate_sec": 0.0,
        "record_sec": 0.0,
        "before": (),
        "after": (),
        "rows": 0,
        "checkpoint_sec": 0.0,
        "kept": 0,
        "state_bytes": 0.0,
    }
    return Timed(**{**values, **changes})


def test_one_process_takes_its_clients_one_after_the_other():
    rates = FREE.model_copy(update={"handle": 0.5, "schedule": 0.25})
    load = Load(cohort=4, registered=9, workers=0, model_bytes=8.0, client_sec=2.0)
    parts = round_seconds(load, rates)
    assert parts["train"] == pytest.approx(4 * 2.5)
    assert parts["schedule"] == pytest.approx(1.0)
    assert sum(parts.values()) == pytest.approx(11.0)


def test_workers_share_the_clients_but_not_what_the_driver_does():
    rates = FREE.model_copy(update={"handle": 0.5, "put_byte": 0.125})
    load = Load(cohort=16, registered=16, workers=2, model_bytes=8.0, client_sec=2.0)
    parts = round_seconds(load, rates)
    assert parts["train"] == pytest.approx(16 * 0.5 + 16)
    assert parts["transfer"] == pytest.approx(1.0)


def test_a_driver_that_cannot_keep_up_decides_how_long_a_round_takes():
    rates = FREE.model_copy(update={"ray_client": 3.0})
    load = Load(cohort=16, registered=16, workers=16, model_bytes=8.0, client_sec=2.0)
    assert round_seconds(load, rates)["train"] == pytest.approx(48.0)


def test_models_that_travel_one_by_one_cost_more_than_their_sums():
    rates = FREE.model_copy(update={"reply_byte": 1e-3, "combine_byte": 1e-3, "sum_byte": 1e-3})
    sums = Load(cohort=64, registered=64, workers=2, model_bytes=1e3, client_sec=0.01)
    models = Load(64, 64, 2, 1e3, 0.01, reduced=False)
    assert sum(round_seconds(models, rates).values()) > sum(round_seconds(sums, rates).values())


def test_makespan_gives_the_longest_first_to_who_is_free():
    assert makespan([3.0, 3.0, 2.0, 2.0, 2.0], 2) == pytest.approx(7.0)
    assert makespan([1.0], 5) == pytest.approx(1.0)


def test_jobs_of_one_call_run_side_by_side():
    jobs = (Jobs(5, 2.0), Jobs(1, 1.0))
    assert jobs_seconds(jobs, 0, FREE) == pytest.approx(11.0)
    assert jobs_seconds(jobs, 2, FREE) == pytest.approx(7.0)


def test_hints_of_base_classes_count_as_well():
    assert phases(Both(), 10) == [1, 3, 5]
    assert phases(Both(), 4) == [1, 3]
    assert has_amounts(Both())
    assert not has_amounts(Early())


def test_a_shortened_block_keeps_what_is_no_amount():
    short = shortened(Both(), 0.1)
    assert isinstance(short, Both)
    assert (short.maker.steps, short.maker.images) == (10, 7)
    assert (short.gate, short.start) == (0.0, 3)
    assert shortened(Maker(steps=3), 0.01) == Maker(steps=1)


def test_cost_is_linear_in_the_amounts():
    low = timed(before=(Jobs(1, 2.0),), client_sec=1.0)
    high = timed(before=(Jobs(1, 6.0),), client_sec=1.1)
    whole = extrapolated(low, high, (0.1, 0.5))
    assert whole.before[0].sec == pytest.approx(11.0)
    assert whole.client_sec == pytest.approx(1.0)  # it did not grow, so it is not stretched


def test_quickest_takes_the_least_of_every_figure():
    first = timed(client_sec=1.0, schedule_sec=5.0, after=(Jobs(2, 3.0),))
    second = timed(client_sec=2.0, schedule_sec=4.0, after=(Jobs(2, 1.0),))
    best = quickest([first, second])
    assert (best.client_sec, best.schedule_sec, best.after[0].sec) == (1.0, 4.0, 1.0)


def test_a_pilot_tells_of_the_whole_cohort_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path))
    with piloted(plain_simulation(), 1.0) as pilot:
        found = pilot.play(1, 3)
    assert (found.cohort, found.evaluated, found.reduced) == (20, 40, True)
    assert found.client_sec > 0
    assert found.evaluate_sec > 0
    assert not list(Path(tmp_path).glob("pilot-*"))


def test_jobs_of_a_strategy_are_counted_for_the_whole_cohort():
    strategy = {
        "name": "fed-zdas",
        "clients_per_round": 12,
        "server_start_round": 1,
        "server_group_size": 2,
        "server_images": 64,
        "synthesizer": {"name": "zs-cgan", "steps": 20},
    }
    with piloted(plain_simulation(strategy=strategy), 0.1) as pilot:
        found = pilot.play(1, 4)
    assert [jobs.count for jobs in found.after] == [6, 1]
    assert not found.reduced


def test_more_rounds_cost_more_and_evaluation_is_part_of_it():
    short, rates = plain_simulation(), shipped_rates()
    seldom = plain_simulation(evaluate={"every": 6})
    told = forecast(short, rates)
    assert told is not None
    assert told.total == pytest.approx(sum(told.parts.values()))
    assert set(told.parts) == {
        *("schedule", "transfer", "train", "aggregate", "evaluate", "record"),
        *("checkpoint", "start", "finish"),
    }
    less = forecast(seldom, rates)
    assert less is not None
    assert less.parts["evaluate"] < told.parts["evaluate"]


def test_clients_keep_something_so_checkpoints_grow():
    strategy = {"name": "ditto", "clients_per_round": 4}
    with piloted(plain_simulation(strategy=strategy), 1.0) as pilot:
        found = pilot.play(1, 4)
    assert found.kept == 4
    assert found.state_bytes > 0


def test_no_forecast_for_flowers_own_engine():
    simulation = plain_simulation(engine={"name": "flower"})
    assert forecast(simulation, shipped_rates()) is None


def test_a_pilot_evaluates_no_more_than_the_run_does():
    with piloted(plain_simulation(evaluate={"clients": 5}), 1.0) as pilot:
        found = pilot.play(1, 3)
        assert found.evaluated == 5
        table = read_clients(pilot.loop.recorder.folder)
    assert table[table.phase == "evaluate"].client.nunique() == 5
