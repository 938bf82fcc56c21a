"""Write a plug-in package from the templates."""

from __future__ import annotations

import re
from pathlib import Path

from fedzda.base import UserError

_TEMPLATES = Path(__file__).parent / "plugin"


def files(name: str) -> dict[str, str]:
    """Path inside the new folder to content.

    Args:
        name: Name of the distribution, such as ``my-plugin``; the package is ``my_plugin``.

    Raises:
        UserError: ``name`` is no name for a package.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UserError(
            f"NAME is '{name}'. It should be lower-case letters and digits, joined by dashes, and "
            "begin with a letter, for example my-plugin."
        )
    package = name.replace("-", "_")
    found = {}
    for template in sorted(_TEMPLATES.rglob("*.txt")):
        path = template.relative_to(_TEMPLATES).as_posix().removesuffix(".txt")
        text = template.read_text(encoding="utf-8")
        text = text.replace("{{name}}", name).replace("{{package}}", package)
        found[re.sub(r"^package/", f"{package}/", path)] = text
    return found


def write_plugin(name: str, parent: Path) -> Path:
    """Write the package into a new folder of ``parent``; returns the folder.

    Raises:
        UserError: ``name`` is unsuitable, or the folder exists already.
    """
    made = files(name)
    folder = parent / name
    if folder.exists():
        raise UserError(f"'{folder}' exists already and is left as it is. Choose another name.")
    for path, text in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder
