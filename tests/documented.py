"""The blocks of README and docs: what readers are told to type, and what is said about it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS = (
    *("a GPU", "a network", "data", "files of your own", "more than a minute"),
    *("several machines",),
)
"""What a block may need instead of being run by a test; more words may follow after a comma."""
_BLOCK = re.compile(
    r"(?:^<!-- (needs|tested-by|file): (.+?) -->\n)?^ *```(\w*)\n(.*?)^ *```$", flags=re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the mark above it."""

    language: str
    text: str
    mark: str
    about: str

    @property
    def lines(self) -> list[str]:
        """Its command lines, without comments and continuations."""
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if words(line)]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, mark, about) for mark, about, language, text in found]


def commands(page: Path) -> list[Block]:
    """Its blocks of commands."""
    return [block for block in blocks(page) if block.language == "bash"]


def words(line: str) -> list[str]:
    """A command line as a shell reads it, without comment and leading assignments."""
    found = shlex.split(line, comments=True)
    while found and re.fullmatch(r"[A-Z_]+=.*", found[0]):
        found = found[1:]
    return found


def label(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()
