"""The API reference: a page per public package, its text taken from docstrings by mkdocstrings."""

from __future__ import annotations

import ast
from pathlib import Path

_LEFT_OUT = ("platform/cli", "platform/scaffold", "platform/dashboard", "clients/commands", "sims")
"""Packages that are reached by the command line or not at all."""


def pages(root: Path) -> dict[str, str]:
    """One page per package that has public names: path to Markdown."""
    package = root / "fedzda"
    made = {"reference/api/index.md": _first_page()}
    for folder in sorted(path.parent for path in package.rglob("__init__.py")):
        inside = folder.relative_to(package).as_posix()
        if folder == package or inside.startswith(_LEFT_OUT):
            continue
        dotted = ".".join(["fedzda", *inside.split("/")])
        modules = [path for path in sorted(folder.glob("*.py")) if _is_public(path)]
        if modules:
            made[f"reference/api/{dotted}.md"] = _page(dotted, folder, modules)
    return made


def _is_public(path: Path) -> bool:
    """Whether a module defines a class or function of a public name."""
    if path.stem.startswith("_"):
        return False
    kinds = (ast.ClassDef, ast.FunctionDef)
    body = ast.parse(path.read_text("utf-8")).body
    return any(isinstance(node, kinds) and not node.name.startswith("_") for node in body)


def _page(dotted: str, folder: Path, modules: list[Path]) -> str:
    about = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    parts = [f"# {dotted}", about.split("\n\n")[0]]
    for path in modules:
        parts.append(f"## {path.stem}\n\n::: {dotted}.{path.stem}")
    return "\n\n".join(parts) + "\n"


def _first_page() -> str:
    return (
        "# fedzda\n\n"
        "From Python, `fedzda.run` makes a run and `fedzda.load` opens one; the classes behind "
        "them are below. `generators`, `compression` and `vision` are plain PyTorch and can be "
        "used alone.\n\n"
        "::: fedzda.platform.simulation\n    options:\n      members: [run, Simulation]\n\n"
        "::: fedzda.platform.runs\n    options:\n      members: [Run, load]\n\n"
        "## base\n\n::: fedzda.base\n"
    )
