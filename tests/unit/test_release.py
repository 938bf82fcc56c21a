"""What goes out: one version everywhere, and archives that hold all files of the package."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import fedzda

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# the keys of the format that the file uses, and what they must be
CITATION = {
    "cff-version": "1.2.0", "message": str, "title": str, "abstract": str, "type": "software",
    "authors": list, "version": fedzda.__version__, "license": PROJECT["license"],
    "keywords": list,
}  # fmt: skip
BESIDE = ["ARCHITECTURE.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE"]
BESIDE += ["MANIFEST.in", "README.md", "constraints.txt", "constraints-min.txt", "pyproject.toml"]


def test_the_version_is_one():
    assert PROJECT["version"] == fedzda.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest[1] == fedzda.__version__


def test_the_citation_is_valid():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found.keys() == CITATION.keys()
    for key, wanted in CITATION.items():
        assert isinstance(found[key], wanted) if isinstance(wanted, type) else found[key] == wanted
    assert found["authors"] == [{"name": author["name"]} for author in PROJECT["authors"]]
    assert found["keywords"] == PROJECT["keywords"]


def lowest(text):
    """What a requirement is called, and the lowest version that it allows; None: any."""
    wanted = Requirement(text)
    bounds = [s.version.removesuffix(".*") for s in wanted.specifier if s.operator in ("==", ">=")]
    return canonicalize_name(wanted.name), max(map(Version, bounds), default=None)


def test_the_lowest_versions_that_are_tested_are_those_that_are_promised():
    extras = PROJECT["optional-dependencies"]
    promised = [*PROJECT["dependencies"], *extras["export"]]
    lines = (ROOT / "constraints-min.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(lowest(line) for line in lines if line and not line.startswith("#"))
    tested.pop("ray")  # of flwr[simulation], which names one version
    assert dict(map(lowest, promised)) == tested
    for name, requirements in extras.items():
        for found, version in map(lowest, requirements):
            assert tested.get(found, version) == version, (name, found)


def package_files():
    """Every file of the package, relative to the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fedzda").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    pytest.importorskip("build", reason="needs build: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    shutil.copytree(
        ROOT / "fedzda", source / "fedzda", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in BESIDE:
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist")]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = ((folder / "dist").glob(f"*{end}") for end in (".tar.gz", ".whl"))
    return sdist, wheel


@pytest.mark.e2e
def test_the_sdist_holds_what_is_needed_to_build_and_to_cite(archives):
    with tarfile.open(archives[0]) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert package_files() | set(BESIDE) <= names


@pytest.mark.e2e
def test_the_wheel_holds_the_whole_package_and_nothing_else(archives):
    with zipfile.ZipFile(archives[1]) as file:
        names = set(file.namelist())
        info = f"fedzda-{fedzda.__version__}.dist-info"
        points = file.read(f"{info}/entry_points.txt").decode()
    assert {name for name in names if not name.startswith(info)} == package_files()
    assert {"fedzda/py.typed", "fedzda/sims/quickstart.yaml"} <= names
    assert f"{info}/licenses/LICENSE" in names
    assert "fedzda = fedzda.__main__:main" in points
