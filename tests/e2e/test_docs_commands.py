"""Blocks of commands without a mark, in README and docs, are run in a folder of their own.

Simulations take two rounds in one process, without a report; everything else runs as it stands.
Blocks marked ``file:`` are written there first.
"""

import glob
import re
import subprocess
import sys
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from fedzda.platform.cli.app import app

from ..documented import PAGES, ROOT, blocks, label, words

pytestmark = pytest.mark.e2e
SHORT = ["engine={name: inline}", "report=false"]
NOT_RUN = [["source", ".venv/bin/activate"]]
"""What a shell would do to itself."""
EXTRAS = {"quantize": "onnxruntime", "deployment": "onnxruntime", "video": "cv2"}
"""Pages whose commands need an extra, and the module that shows whether it is there."""


def runnable(page):
    return any(block.language == "bash" and not block.mark for block in blocks(page))


@pytest.mark.parametrize("page", list(filter(runnable, PAGES)), ids=label)
def test_unmarked_commands(page, tmp_path, monkeypatch):
    if page.stem in EXTRAS:
        pytest.importorskip(EXTRAS[page.stem])
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.mark == "file":
            (tmp_path / block.about).write_text(block.text)
        elif block.language == "bash" and not block.mark:
            for line in block.lines:
                if words(line) not in NOT_RUN:
                    call(line)


def call(line):
    """A command line as a shell would run it; fedzda's in this process."""
    program, *typed = words(line)
    if program == "python":
        subprocess.run([sys.executable, *typed], check=True, timeout=120)
        return
    assert program == "fedzda", f"mark the block, or let this test know '{program}'"
    arguments = []
    for word in typed:
        arguments += sorted(glob.glob(word)) or [word]
    if arguments[0] == "run":
        arguments = [re.sub(r"^rounds=\d+$", "rounds=2", word) for word in arguments] + SHORT
        if not {"--fast", "rounds=2"} & set(arguments):
            arguments.append("rounds=2")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{line}\n{result.output}"


def test_the_mistakes_in_the_tutorial_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("fedzda new my-study")
    found = blocks(ROOT / "docs" / "tutorial.md")
    typed, shown = next(pair for pair in pairwise(found) if "strategy.name=fed-agv" in pair[0].text)
    result = CliRunner().invoke(app, words(typed.text)[1:])
    assert result.exit_code == 2
    for line in shown.text.splitlines():
        assert line.partition(", …")[0] in result.output


def test_every_page_of_the_docs_is_looked_at():
    assert ROOT / "docs" / "tutorial.md" in PAGES
    assert sum(runnable(page) for page in PAGES) >= 6
