"""What the theme leaves out for readers who cannot see or use no mouse (found by axe-core)."""

from __future__ import annotations

import re

_SECTION = re.compile(
    r'(<nav class="md-nav" data-md-level="\d+" )aria-labelledby="__nav_\w+_label"'
    r'(?=[^>]*>\s*<label class="md-nav__title"[^>]*>\s*<span[^>]*></span>(?P<title>[^<]*)<)'
)
"""The list of a section, whose label holds an icon only, and the section's title inside."""


def reachable(html: str) -> str:
    """Names for the search dialog and for the lists of the navigation. What scripts of the theme do
    to a page is mended in docs/assets/site.js."""
    html = html.replace('role="dialog">', 'role="dialog" aria-label="Search">')
    return _SECTION.sub(lambda found: f'{found[1]}aria-label="{_words(found["title"])}"', html)


def _words(text: str) -> str:
    return " ".join(text.split())
