"""Docstrings as Markdown: roles become code, doctests become blocks of code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1\S.*)*", flags=re.M)


class Docstrings(griffe.Extension):
    """Rewrites the text of every docstring before it is parsed into sections."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object once its source has been read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The text of a docstring, in Markdown."""
    text = re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text)
    return _DOCTEST.sub(_fenced, text)


def _fenced(found: re.Match[str]) -> str:
    margin = found[1]
    return f"{margin}```pycon\n{found[0]}\n{margin}```"
