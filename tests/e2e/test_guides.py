"""Every command and every piece of Python in some guides is run as it stands."""

import glob
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fedzda
from fedzda.platform.cli.app import app

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]


def blocks(guide, language):
    text = (ROOT / "docs" / "guides" / f"{guide}.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def commands(guide):
    """The command lines of a guide, without comments."""
    lines = [line for block in blocks(guide, "bash") for line in block.splitlines() if line]
    assert all(line.startswith("fedzda ") for line in lines), "anything else is no command of ours"
    return lines


def call(line):
    """A command line as a shell would run it, in this process."""
    words = []
    for word in shlex.split(line, comments=True)[1:]:
        words += sorted(glob.glob(word)) or [word]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.output


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_comparing(folder):
    outputs = {}
    for line in commands("comparing"):
        quick = " engine.name=inline report=false" if line.startswith("fedzda run") else ""
        outputs[line] = call(line + quick)
    compared = next(text for line, text in outputs.items() if line.startswith("fedzda compare"))
    assert "2 seeds" in compared
    assert "Difference to fed-avg" in compared
    assert "Difference to fed-prox" in (folder / "table.md").read_text()
    for name in ("cdf.pdf", "convergence.svg", "pareto.png", "heatmap.pdf", "labels.pdf"):
        assert (folder / name).stat().st_size > 4000
    assert (folder / "records" / "clients.csv").is_file()


def test_plug_ins(folder, monkeypatch):
    shutil.copytree(ROOT / "tests" / "e2e" / "flower_quickstart", folder / "my-flower-app")
    lines = commands("plug-ins")
    assert "wrote my-plugin" in call(lines[0])
    monkeypatch.chdir(folder / "my-plugin")
    for line in lines[1:]:
        flower = "--flower-app" in line
        monkeypatch.chdir(folder / ("." if flower else "my-plugin"))
        output = call(line + (" engine.name=inline report=false" if flower else ""))
        assert "run folder" in output if flower else "keeps all" in output


def test_trackers(folder):
    pytest.importorskip("mlflow")
    pytest.importorskip("wandb")
    (text,) = blocks("trackers", "yaml")
    (folder / "tracked.yaml").write_text(text)
    for line in commands("trackers"):
        call(line + (" report=false" if line.startswith("fedzda run") else ""))
    first, second = (fedzda.load(path).path for path in sorted(Path("runs").glob("2*")))
    assert list(first.glob("tensorboard/events*"))
    assert list(first.glob("wandb/offline-run-*"))
    assert (folder / "runs" / "mlflow.db").is_file()
    assert not (second / "wandb").exists()


@pytest.mark.parametrize("guide", ["trackers"])
def test_python(guide, folder, capsys):
    for block in blocks(guide, "python"):
        names = {}
        exec(block, names)
    assert len(names["worst"].seen) == 2
    assert "worst tenth over the rounds: [" in capsys.readouterr().out
