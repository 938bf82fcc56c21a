"""Which runs there are. Files are read again only when they change."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.dashboard.card import RunCard, read_card
from fedzda.platform.dashboard.guard import check_folder, check_run, leads_out

MAX_DEPTH = 4
"""How many folders deep runs are looked for: a sweep's lie in folders of their own."""
LIFE = "life.yaml"
"""What makes a folder that of a life, in which every stage that is a simulation is a run."""
_WATCHED = ("status.json", "summary.json")
_Signature = tuple[tuple[int, int] | None, ...]


class RunIndex:
    """The runs below a folder.

    A page asks for a run by its id, and only ids found by walking the folder are known: no text
    from an address ever becomes a path.

    Args:
        root: The folder.

    Attributes:
        root: The same with links followed.
        outside: How many folders were left out because they are links to outside.
        lives: Folders of the lives of models, by id, found by the last walk.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.outside = 0
        self.lives: dict[str, Path] = {}
        self._known: dict[str, tuple[_Signature, RunCard]] = {}
        self._lock = threading.Lock()

    def cards(self) -> list[RunCard]:
        """All runs as they are now, in the order of their folders' names."""
        with self._lock:
            lives: dict[str, Path] = {}
            outside: list[Path] = []
            found = sorted(self._walk(self.root, 1, lives, outside))
            self._known = {id_: self._read(id_, path) for id_, path in found}
            # whole, not bit by bit: pages read them while another request walks
            self.lives, self.outside = lives, len(outside)
            return [card for _, card in self._known.values()]

    def card(self, id_: str) -> RunCard | None:
        """One run as it is now; None if there is none of that id."""
        with self._lock:
            known = self._known.get(id_)
            if known is not None and (known[1].path / "config.yaml").is_file():
                self._known[id_] = self._read(id_, known[1].path)
                return self._known[id_][1]
        return next((card for card in self.cards() if card.id == id_), None)

    def life(self, id_: str) -> Path | None:
        """The folder of a life; None if there is none of that id.

        Raises:
            UserError: One of its files, or of its stages', is a link to outside the root.
        """
        if id_ not in self.lives:
            self.cards()
        path = self.lives.get(id_)
        if path is None or not (path / LIFE).is_file():
            return None
        check_folder(path, self.root)
        for inner in path.iterdir():
            if inner.is_dir():
                check_run(inner, self.root)
        return path

    def folder(self, id_: str) -> Path:
        """The folder of a run, all of whose files lie inside the root.

        Raises:
            UserError: There is no such run, or one of its files is a link to outside.
        """
        card = self.card(id_)
        if card is None:
            raise UserError(f"there is no run '{id_}' in this folder.")
        check_run(card.path, self.root)
        return card.path

    def _read(self, id_: str, path: Path) -> tuple[_Signature, RunCard]:
        signature = tuple(_changed(path / name) for name in _WATCHED)
        known = self._known.get(id_)
        return (
            known
            if known is not None and known[0] == signature and not known[1].problem
            else (signature, read_card(id_, path, self.root))
        )

    def _walk(
        self, folder: Path, depth: int, lives: dict[str, Path], outside: list[Path]
    ) -> Iterator[tuple[str, Path]]:
        """Runs; lives and folders that are links to outside are put into what is given."""
        try:
            with os.scandir(folder) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError:  # taken away meanwhile, or not ours to read
            return
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink():  # inside the root it is only a second name
                if path.is_dir() and leads_out(path, self.root):
                    outside.append(path)
            elif entry.is_dir() and _printable(entry.name):
                id_ = path.relative_to(self.root).as_posix()
                if (path / LIFE).is_file():
                    lives[id_] = path
                if id_ in self._known or (path / "config.yaml").is_file():
                    yield id_, path
                elif depth < MAX_DEPTH:
                    yield from self._walk(path, depth + 1, lives, outside)


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _printable(name: str) -> bool:
    """Whether a folder's name is valid UTF-8, which addresses need."""
    return name.isprintable()
