"""What users may call the kinds of components."""

from __future__ import annotations

from fedzda.base import UserError

KINDS = {
    "strategies": ("strategy",),
    "models": ("model",),
    "datasets": ("data", "dataset"),
    "partitioners": ("partition", "partitioner"),
    "shifts": ("shift",),
    "scenarios": ("scenario",),
    "synthesizers": ("synthesizer",),
    "tasks": ("task",),
    "engines": ("engine",),
    "devices": ("device",),
    "variants": ("variant",),
    "uplinks": ("uplink",),
    "trackers": ("tracker",),
    "privacy": (),
}
"""Kind to its other names: the singular, and the key in the YAML file."""


SIMULATIONS = "simulations"
_SIMULATION_NAMES = (SIMULATIONS, "simulation", "sims", "sim")


def kind_of(word: str) -> str | None:
    """The kind that a word means, or None."""
    word = word.lower()
    return next((kind for kind, names in KINDS.items() if word == kind or word in names), None)


def listable(word: str) -> str:
    """The kind that a word means, or ``simulations``. Raises UserError, which lists the kinds."""
    from fedzda.platform.config.problems import KEY_SIMILARITY, suggestion

    if word.lower() in _SIMULATION_NAMES:
        return SIMULATIONS
    found = kind_of(word)
    if found is None:
        known = [*KINDS, SIMULATIONS]
        words = [*known, *(name for names in KINDS.values() for name in names)]
        hint = suggestion(word, words, KEY_SIMILARITY)
        raise UserError(f"there is no kind '{word}'.{hint} Kinds: {', '.join(known)}.")
    return found
