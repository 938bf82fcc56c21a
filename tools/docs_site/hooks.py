"""What MkDocs calls while it builds the site (``hooks:`` in mkdocs.yml).

Pages that are made of the code (references, API) and files of the repository's root that are pages
too (architecture, changelog, …) exist only while the site is built, so they cannot be out of date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import access
import api
import command_line
import configuration
import markup
import navigation
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_ROOT_PAGES = {
    "ARCHITECTURE.md": "design/architecture.md",
    "CONTRIBUTING.md": "design/contributing.md",
    "CHANGELOG.md": "design/changelog.md",
}
"""Files of the repository's root, and where they stand in the site."""
_EXAMPLE = ROOT / "examples" / "my-plugin"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made while the site is built, then order all of them."""
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    titles = {
        file.src_uri: navigation.title_of(file.content_string)
        for file in files.documentation_pages()
        if not file.inclusion.is_excluded()
    }
    config.nav = navigation.ordered(titles)
    return files


def generated() -> dict[str, str]:
    """All pages that stand in no file under ``docs/``: path to Markdown."""
    pages = {place: (ROOT / name).read_text("utf-8") for name, place in _ROOT_PAGES.items()}
    pages["guides/example-plug-in.md"] = _example_page()
    pages |= configuration.pages()
    pages |= command_line.pages()
    pages |= api.pages(ROOT)
    return pages


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files outside ``docs/``, and the marks of command blocks."""
    uri = page.file.src_uri
    home = next((name for name, place in _ROOT_PAGES.items() if place == uri), f"docs/{uri}")
    moved = {**_ROOT_PAGES, "README.md": "index.md", "examples/my-plugin": _EXAMPLE_PAGE}
    return markup.with_marks(markup.with_links(markdown, home, uri, moved))


def on_post_page(output: str, **_: Any) -> str:
    """Names and keyboard focus that the theme leaves out."""
    return access.reachable(output)


_EXAMPLE_PAGE = "guides/example-plug-in.md"


def _example_page() -> str:
    """Every file of the example plug-in on one page."""
    parts = [
        "# Example: a plug-in package\n\nWhat `fedzda new-plugin my-plugin` writes. "
        "[How plug-ins work](plug-ins.md)."
    ]
    languages = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".md": "markdown"}
    for path in sorted(_EXAMPLE.rglob("*")):
        inside = path.relative_to(_EXAMPLE)
        if path.suffix in languages and "egg-info" not in str(inside):
            text = path.read_text("utf-8").rstrip()
            parts.append(f"## {inside.as_posix()}\n\n````{languages[path.suffix]}\n{text}\n````")
    return "\n\n".join(parts) + "\n"
