"""HTML and SVG elements that escape whatever text goes in."""

from __future__ import annotations

import html


class Markup(str):
    """Text that is already HTML. Everything else is escaped when it enters an element."""

    __slots__ = ()


def text(value: object) -> Markup:
    """``value`` as HTML: itself if it is markup, else escaped."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(*parts: object) -> Markup:
    """Parts one after the other; None is left out."""
    return Markup("".join(text(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element.

    ``class_`` becomes ``class``, ``stroke_width`` ``stroke-width``; an attribute that is None or
    False is left out, True is written without a value.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        written.append(f" {word}" if value is True else f' {word}="{html.escape(_short(value))}"')
    opening = f"<{name}{''.join(written)}>"
    if name in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(*children)}</{name}>")


_VOID = {"meta", "img", "br", "link", "hr", "input"}


def _short(value: object) -> str:
    """Coordinates need one decimal, not fifteen."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
