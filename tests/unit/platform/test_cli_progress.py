"""Progress display, failures and ends of runs."""

import errno
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from fedzda.base import RunError, UserError
from fedzda.platform.cli.execute import resumable
from fedzda.platform.cli.failures import FailureGroup
from fedzda.platform.cli.fast import fast_overrides
from fedzda.platform.cli.progress import Progress
from fedzda.platform.cli.text import human_bytes, human_time, table
from fedzda.platform.config.load import from_dict


def row(round_, mean, **changes):
    figures = {"loss": {"mean": 1.0, "worst10": 2.0}, "accuracy": {"mean": mean, "worst10": None}}
    return {
        "round": round_,
        "eta_sec": 75.0,
        "bytes": {"down": 1_000_000, "up": 500_000},
        "clients": {"sampled": 4, "done": 4, "failed": 0},
        "metrics": figures if mean is not None else {},
        **changes,
    }


def show(rows, *, terminal, quiet=False, width=80):
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=terminal,
        no_color=True,
        width=width,
        highlight=False,
        soft_wrap=True,
    )
    progress = Progress(quiet, console)
    config = SimpleNamespace(name="sim", rounds=3)
    progress.start(SimpleNamespace(config=config), Path("runs/one"))
    for item in rows:
        progress.round(item, 3)
    progress.finish({})
    return out.getvalue()


def test_without_a_terminal_one_plain_line_per_round():
    failed = {"sampled": 4, "done": 3, "failed": 1}
    text = show([row(1, 0.5), row(2, None), row(3, 0.75, clients=failed)], terminal=False)
    assert text.splitlines() == [
        "run folder: runs/one",
        "round 1/3  ETA 1:15  accuracy 0.500, worst 10 % —  1.5 MB",
        "round 2/3  ETA 1:15  accuracy 0.500, worst 10 % —  3.0 MB",
        "round 3/3  ETA 1:15  accuracy 0.750, worst 10 % —  4.5 MB  1 failed",
    ]


def test_on_a_terminal_a_bar_with_the_last_round():
    text = show([row(1, 0.5), row(3, 0.75)], terminal=True)
    assert "run folder: runs/one" in text
    assert "round 3/3  ETA 1:15  accuracy 0.750, worst 10 % —  3.0 MB" in text


def test_the_bar_stays_on_one_line_of_a_narrow_terminal():
    text = show([row(1, 0.5)], terminal=True, width=40)
    assert text.count("\n") == 2, "the line with the folder and the bar"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_prints_nothing(terminal):
    assert show([row(1, 0.5)], terminal=terminal, quiet=True) == ""


def failing_app(error):
    app = typer.Typer(cls=FailureGroup, pretty_exceptions_enable=False)

    @app.command()
    def fail():
        progress = Progress(quiet=True)
        with resumable(progress):
            progress.start(None, Path("runs/one"))
            raise error

    @app.callback()
    def options():
        """Keep ``fail`` a sub-command."""

    return CliRunner().invoke(app, ["fail"])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("first", "second"), 2, "first\nsecond\n"),
        (RunError("client 3 sent NaN"), 1, "the run failed: client 3 sent NaN"),
        (KeyboardInterrupt(), 130, "interrupted."),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 2, "cannot write or read"),
    ],
)
def test_exit_codes_and_the_way_on(error, code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gone = failing_app(error)
    assert (gone.exit_code, "go on with" in gone.stderr) == (code, False)
    Path("runs/one").mkdir(parents=True)
    result = failing_app(error)
    assert result.exit_code == code
    assert words in result.stderr
    assert "go on with: fedzda resume runs/one" in result.stderr


def test_a_bug_keeps_its_traceback():
    result = failing_app(ZeroDivisionError("a bug"))
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_fast_changes_are_valid_and_tiny(tmp_path):
    raw = {
        "name": "x",
        "rounds": 50,
        "data": {"name": "digits", "clients": 9},
        "model": {"name": "mlp"},
        "strategy": {"name": "flwr-fed-avg"},
    }
    changes = dict(text.split("=", 1) for text in fast_overrides(from_dict(raw)))
    assert not Path(changes["output"].strip('"')).exists(), "a wrong simulation leaves no folder"
    assert changes["rounds"] == "2"
    assert changes["strategy.clients_per_round"] == changes["evaluate.clients"] == "2"
    raw["data"] = {"name": "digits", "clients": 1}
    alone = dict(text.split("=", 1) for text in fast_overrides(from_dict(raw)))
    assert alone["strategy.clients_per_round"] == "1"


def test_sizes_times_and_tables():
    sizes = [0, 999, 1000, 12_300_000, 5e12]
    assert [human_bytes(n) for n in sizes] == ["0 B", "999 B", "1.0 kB", "12.3 MB", "5.0 TB"]
    assert [human_time(s) for s in (0, 59.6, 75, 3700)] == ["0:00", "1:00", "1:15", "1:01:40"]
    assert table([("a", "bb"), ("ccc", "d")], indent=1) == " a    bb\n ccc  d"


def test_a_run_that_goes_on_counts_what_was_sent_before(tmp_path):
    written = [row(number, 0.5) for number in (1, 2, 3, 4)]  # that of round 4 will be replaced
    file = tmp_path / "rounds.jsonl"
    file.write_text("".join(json.dumps(found) + "\n" for found in written), encoding="utf-8")
    out = io.StringIO()
    progress = Progress(console=Console(file=out, soft_wrap=True, width=80))
    progress.start(SimpleNamespace(config=SimpleNamespace(rounds=5)), tmp_path)
    for number in (4, 5):
        progress.round(row(number, 0.5), 5)
    assert [line.split("  ")[-1] for line in out.getvalue().splitlines()[1:]] == [
        "6.0 MB",
        "7.5 MB",
    ]
