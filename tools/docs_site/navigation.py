"""The order of the pages. A page that is named nowhere is appended to its folder's section."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FIRST = {
    "guides": [
        *("own-data", "own-model", "plug-ins", "example-plug-in", "comparing", "sweeps"),
        *("dashboard", "trackers", "stopping", "fairness-study", "group-fairness"),
        *("heterogeneity", "devices", "variants", "privacy", "privacy-probe", "quantize"),
        *("diffusion", "video", "gpu", "cluster", "deployment"),
    ],
    "methods": ["fed-zda", "fairness", "heterogeneity", "fed-buff", "controls"],
    "design": ["architecture", "contributing", "changelog"],
}
"""Pages of a folder that come first, in this order; the others follow by name."""
_SECTIONS = [
    ("Start", ["index.md", "tutorial.md"], []),
    ("How to", [], ["guides"]),
    ("Methods", [], ["methods"]),
    ("Findings", ["log.md", "benchmarks.md", "scale.md"], ["studies"]),
    ("Design", [], ["design"]),
]
_REFERENCE = [("Configuration", "reference/configuration"), ("API", "reference/api")]


def title_of(markdown: str) -> str:
    """The first heading, up to its colon: navigation has little room."""
    found = re.search(r"^# (.+)$", markdown, flags=re.M)
    return found[1].split(":")[0].removeprefix("fedzda.") if found else ""


def ordered(titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """The ``nav`` of all pages, given as path to title."""
    left = dict(titles)

    def take(paths: list[str]) -> list[dict[str, Any]]:
        return [{left.pop(path): path} for path in paths if path in left]

    made: list[dict[str, Any]] = []
    for section, paths, folders in _SECTIONS:
        inside = [path for folder in folders for path in _of_folder(folder, left)]
        made.append({section: take([*paths, *inside])})
    reference: list[Any] = take(["reference/commands.md"])
    for name, folder in _REFERENCE:
        inside = sorted(_of_folder(folder, left), key=lambda path: not path.endswith("/index.md"))
        pages = [next(iter(item.items())) for item in take(inside)]
        # the first page is that of the section itself, and has no entry of its own
        named = [path if path.endswith("/index.md") else {title: path} for title, path in pages]
        reference.append({name: named})
    made.insert(3, {"Reference": reference})
    made[0]["Start"] += take(sorted(left))  # a page in a folder of its own
    return made


def _of_folder(folder: str, titles: Mapping[str, str]) -> list[str]:
    first = [f"{folder}/{stem}.md" for stem in _FIRST.get(folder, [])]
    inside = sorted(path for path in titles if path.startswith(f"{folder}/"))
    return [path for path in first if path in inside] + [p for p in inside if p not in first]
