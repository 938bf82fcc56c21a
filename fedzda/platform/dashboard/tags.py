"""Tags of runs, in one small file beside them: run folders themselves are never written to."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.files import write_json

FILE = "tags.json"
MAX_LENGTH = 40
"""Most characters of a tag."""
MAX_TAGS = 20
"""Most tags of a run."""


class Tags:
    """The tags below a folder of runs.

    Args:
        root: The folder; ``tags.json`` in it maps run ids to lists of tags.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE
        self._lock = threading.Lock()

    def all(self) -> dict[str, list[str]]:
        """Tags by run id. Raises :class:`UserError` if the file is damaged or a link."""
        if self.path.is_symlink():
            raise UserError(f"'{FILE}' is a link and is not followed. Put a plain file there.")
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UserError(
                f"'{FILE}' is not readable JSON: {error}. Mend or remove it."
            ) from error
        if not isinstance(found, dict):
            raise UserError(f"'{FILE}' must map run folders to lists of tags. Mend or remove it.")
        wrong = [
            f"'{FILE}' must map run folders to lists of tags, such as [\"good\"] (found "
            f"{json.dumps(tags, ensure_ascii=False)} for '{run}'). Mend it."
            for run, tags in found.items()
            if not isinstance(tags, list)
        ]
        if wrong:
            raise UserError(*wrong)
        return {run: [str(tag) for tag in tags] for run, tags in found.items()}

    def set(self, run: str, text: str) -> None:
        """Replace the tags of a run by those in ``text``, which are separated by commas.

        Raises:
            UserError: A tag is too long or holds control characters, there are too many, or the
                folder cannot be written.
        """
        tags = parse(text)
        with self._lock:
            found = self.all()
            if tags:
                found[run] = tags
            else:
                found.pop(run, None)
            try:
                write_json(self.path, dict(sorted(found.items())))
            except OSError as error:
                raise UserError(
                    f"tags cannot be written to '{FILE}': {error.strerror}. Make the folder of "
                    "runs writable."
                ) from error


def parse(text: str) -> list[str]:
    """Tags from a list with commas, each once, in the order given. Raises :class:`UserError`."""
    tags = list(dict.fromkeys(" ".join(part.split()) for part in text.split(",")))
    tags = [tag for tag in tags if tag]
    problems = [
        f"tag '{tag[:MAX_LENGTH]}' must have at most {MAX_LENGTH} printable characters "
        f"(found {len(tag)}). Shorten it."
        for tag in tags
        if len(tag) > MAX_LENGTH or not tag.isprintable()
    ]
    if len(tags) > MAX_TAGS:
        problems.append(f"a run has at most {MAX_TAGS} tags (found {len(tags)}). Drop some.")
    if problems:
        raise UserError(*problems)
    return tags
