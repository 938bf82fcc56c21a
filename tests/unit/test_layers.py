"""Imports run downwards only (ARCHITECTURE.md), and heavy libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

import fedzda

ROOT = Path(fedzda.__file__).parent
MAY_IMPORT = {
    "base": set(),
    "generators": {"base"},
    "compression": {"base", "generators"},
    "vision": {"base"},
    "platform": {"base"},
    "clients": {"base", "platform", "generators", "compression", "vision"},
    "strategies": {"base", "platform", "generators", "compression"},
}
FLOWER = (
    *(f"platform/deployment/{name}.py" for name in ("client", "server")),
    *(f"platform/engines/{name}.py" for name in ("deployed", "flower", "grid", "messages")),
    "platform/finish.py",
    "platform/flower/app.py",
    "platform/parts.py",
    "platform/records.py",
    "platform/rounds.py",
    "platform/simulation.py",
    "platform/state_codec.py",
    "clients/app.py",
    "strategies/",
)
RAY = tuple(f"platform/engines/{name}.py" for name in ("ray", "pool", "cluster"))
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.name == "base.py")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path):
    relative = str(path.relative_to(ROOT))
    room = "base" if path.name == "base.py" and path.parent == ROOT else relative.split("/")[0]
    for name in imports(path):
        if name.startswith("fedzda."):
            other = name.split(".")[1]
            assert other == room or other in MAY_IMPORT[room], f"{room} must not import {name}"
        if name.split(".")[0] == "flwr":
            assert relative.startswith(FLOWER), f"{relative} must not import Flower"
        if name.split(".")[0] == "ray":
            assert relative in RAY, f"{relative} must not import Ray"
