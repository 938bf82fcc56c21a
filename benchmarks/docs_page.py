"""Tables of the docs pages: what a benchmark found takes the place between two marks."""

from __future__ import annotations

import re
from pathlib import Path


def put(page: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- mark -->`` and the next ``<!-- end -->``.

    Raises:
        SystemExit: The page has no such place, or several.
    """
    pattern = rf"(<!-- {re.escape(mark)} -->\n)(?:.*?\n)??(<!-- end -->)"
    before = page.read_text(encoding="utf-8")
    after, count = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", before, flags=re.S)
    if count != 1:
        raise SystemExit(f"{page} has {count} places '<!-- {mark} -->' that end; one is needed")
    page.write_text(after, encoding="utf-8")
