"""A comparison as a file: CSV for further work, Markdown and LaTeX for pages and papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.compare import Comparison
from fedzda.platform.files import write_text

_TEX = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "\u00a0": "~",
    "±": r"$\pm$",
    "−": "$-$",
    "²": "$^2$",
    "–": "--",
    "\n": " ",
}


def export(found: Comparison, path: Path) -> None:
    """Write a comparison; the ending of ``path`` says how.

    ``.csv`` has a line per group with stored values, ``.md`` the tables that the terminal shows,
    ``.tex`` a ``table`` each for figures and differences, for the package booktabs.

    Raises:
        UserError: Another ending, or a folder that does not exist.
    """
    writers: dict[str, Callable[[Comparison], str]] = {
        ".csv": to_csv,
        ".md": to_markdown,
        ".tex": to_latex,
    }
    if path.suffix not in writers:
        known = ", ".join(writers)
        raise UserError(f"--export '{path}' should end in one of {known} (got '{path.suffix}').")
    if not path.parent.is_dir():
        raise UserError(f"--export '{path}': there is no folder '{path.parent}'. Make it first.")
    write_text(path, writers[path.suffix](found))


def to_csv(found: Comparison) -> str:
    """The rows of :class:`Comparison`; seeds and paths are separated by blanks."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(found.rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in found.rows:
        listed = {key: " ".join(map(str, row[key])) for key in ("paths", "seeds")}
        writer.writerow(row | listed)
    return out.getvalue()


def to_markdown(found: Comparison) -> str:
    """All tables, each under its title."""
    parts = []
    for title, head, body in found.tables():
        lines = [head, ["---", *["---:"] * (len(head) - 2), "---"], *body]
        parts.append(
            f"**{_escaped_markdown(title)}**\n\n"
            + "\n".join("| " + " | ".join(map(_escaped_markdown, line)) + " |" for line in lines)
        )
    return "\n\n".join(parts) + "\n"


def _escaped_markdown(cell: str) -> str:
    text = cell.replace("\\", "\\\\").replace("\n", " ")
    for sign in "|*<`":
        text = text.replace(sign, f"\\{sign}")
    return text


def to_latex(found: Comparison) -> str:
    """Figures and differences; how the configurations differ stands above them as comments."""
    parts = ["% needs \\usepackage{booktabs}"]
    for title, head, body in found.tables():
        if title == "Configuration":
            rows = [" | ".join(line).replace("\n", " ") for line in [head, *body]]
            parts.append("\n".join(f"% {row}" for row in rows))
        else:
            parts.append(_latex_table(title, head, body, f"tab:fedzda-{len(parts)}"))
    return "\n".join(parts) + "\n"


def _latex_table(title: str, head: list[str], body: list[list[str]], label: str) -> str:
    columns = "l" + "r" * (len(head) - 2) + "l"
    lines = [" & ".join(map(escaped_latex, line)) + r" \\" for line in [head, *body]]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped_latex(title)}}}",
            rf"  \label{{{label}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {lines[0]}",
            r"    \midrule",
            *(f"    {line}" for line in lines[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def escaped_latex(text: str) -> str:
    """Text that LaTeX shows as it stands."""
    return "".join(_TEX.get(sign, sign) for sign in text)
