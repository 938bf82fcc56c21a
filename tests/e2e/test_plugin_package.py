"""The example plug-in package: what ``new-plugin`` writes, built, installed and used by name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedzda.base import UserError
from fedzda.platform.scaffold.write import files, write_plugin

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "my-plugin"


def left_by_pip(path):
    """Whether it is what pip leaves behind when it installs the example."""
    parts = path.relative_to(EXAMPLE).parts
    return parts[0] == "build" or parts[0].endswith(".egg-info")


def test_the_example_is_what_new_plugin_writes():
    found = {
        path.relative_to(EXAMPLE).as_posix(): path.read_text(encoding="utf-8")
        for path in EXAMPLE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not left_by_pip(path)
    }
    assert found == files("my-plugin")


def test_components_are_short():
    for name, text in files("my-plugin").items():
        if name.startswith("my_plugin/") and not name.endswith("__init__.py"):
            code = [line for line in text.splitlines() if line.strip()]
            assert 10 <= len(code) <= 40, name


def test_names_and_folders_are_checked(tmp_path):
    assert write_plugin("other-one2", tmp_path) == tmp_path / "other-one2"
    text = (tmp_path / "other-one2" / "pyproject.toml").read_text()
    assert 'other-one2-net = "other_one2.model:Net"' in text
    assert "{{" not in text
    with pytest.raises(UserError, match="exists already"):
        write_plugin("other-one2", tmp_path)
    for name in ("Plugin", "my_plugin", "-x", "2x", "a/../b"):
        with pytest.raises(UserError, match="should be lower-case letters"):
            write_plugin(name, tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package from its wheel; nothing else is on the path but fedzda's own."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(EXAMPLE, folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "-w", str(folder), "."]
    subprocess.run(build, cwd=folder / "source", check=True)
    (wheel,) = folder.glob("my_plugin-0.1.0-*.whl")
    target = folder / "site"
    subprocess.run([*pip, "install", *offline, "--target", str(target), str(wheel)], check=True)
    return target


@pytest.mark.e2e
def test_an_installed_wheel_brings_its_names(installed, tmp_path):
    shutil.copy(EXAMPLE / "sim.yaml", tmp_path)
    shutil.copy(EXAMPLE / "tests" / "test_plugin.py", tmp_path)
    env = {**os.environ, "PYTHONPATH": str(installed)}

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "fedzda", *arguments],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "my-plugin-net  from my-plugin" in call("list", "models", "my-plugin")
    assert "How much of the way" in call("explain", "strategy.my-plugin-slow")
    assert "How many arrays of weights" in call("explain", "variant.my-plugin-last")
    output = call("run", "sim.yaml", "report=false")
    mean = float(output.partition("mean ")[2].split(",")[0])
    assert mean > 0.4, output
    assert "my-plugin-last" in next(tmp_path.glob("runs/*/summary.json")).read_text()
    assert "keeps all 4 rules" in call("check", "my_plugin.partitioner:steps")
    assert "keeps all 10 rules" in call("check", "my_plugin.variant:LastLayers")
