"""The outcome of a check, and how a check says that something is wrong."""

from __future__ import annotations

from dataclasses import dataclass


class Broken(Exception):
    """A rule that a component breaks, as one sentence: what is wrong and what it should do."""


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        name: What is checked, in a few words.
        problem: What is wrong, as a sentence; empty: nothing.
    """

    name: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the rule holds."""
        return not self.problem


def reason(error: BaseException) -> str:
    """What went wrong in one line, such as ``ValueError: …``.

    A failure at a client carries its story as text, of which the last line is the one that counts.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Set on_client_error")]
    named = type(error).__name__
    if named not in ("UserError", "RunError"):
        return _as_sentence(f"{named}: {lines[0] if lines else 'no message'}")
    first = lines[0]
    return _as_sentence(f"{first} {lines[-1]}" if first.endswith(":") else first)


def _as_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
