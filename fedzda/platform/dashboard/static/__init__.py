"""Style, scripts and icon, served from the package; the report's are shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

_REPORT, _OWN = "fedzda.platform.report", "fedzda.platform.dashboard"
_FILES = {
    "page.css": (_REPORT, "templates", "text/css"),
    "page.js": (_REPORT, "templates", "text/javascript"),
    "dashboard.css": (_OWN, "static", "text/css"),
    "dashboard.js": (_OWN, "static", "text/javascript"),
    "icon.svg": (_OWN, "static", "image/svg+xml"),
}


@dataclass(frozen=True)
class Asset:
    """A file for the browser."""

    content: bytes
    media_type: str


@cache
def asset(name: str) -> Asset | None:
    """A file by its name; None if it is none of those that pages need."""
    if name not in _FILES:
        return None
    package, folder, media_type = _FILES[name]
    return Asset((resources.files(package) / folder / name).read_bytes(), media_type)
