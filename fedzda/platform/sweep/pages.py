"""Everything that a sweep has to show, as Markdown and SVG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.files import make_folder, write_text
from fedzda.platform.sweep.cells import Cell
from fedzda.platform.sweep.charts import convergence, pareto
from fedzda.platform.sweep.load import Sweep
from fedzda.platform.sweep.tables import Setting, differences_table, figures_table, settings


def write_pages(sweep: Sweep, cells: Sequence[Cell], folder: Path) -> list[Path]:
    """Write ``tables.md`` and two charts per combination of axes; returns their paths.

    Raises:
        UserError: No cell has a result yet.
    """
    found = settings(sweep, cells)
    if not found:
        raise UserError(f"no cell of '{sweep.source}' has a result yet. Run the sweep first.")
    make_folder(folder, "--tables")
    written = [folder / "tables.md"]
    write_text(written[0], "\n\n".join([f"# {sweep.config.name}", *map(section, found)]) + "\n")
    for setting in found:
        written += write_charts(setting, folder)
    return written


def section(setting: Setting) -> str:
    """Markdown: the tables of one combination of axes, a pair for each group of arms."""
    parts = [f"## {setting.title}"] if setting.labels else []
    for group in setting.groups():
        parts += [f"### {group.capitalize()}"] if group else []
        parts.append(figures_table(setting, group))
        if setting.config.baseline:
            parts.append(differences_table(setting, group))
    return "\n\n".join(parts)


def write_charts(setting: Setting, folder: Path) -> list[Path]:
    """``pareto-…`` of the arms with a global model, ``convergence-…`` of the first group.

    Arms that lack a seed of the baseline are in the tables alone: points of other seeds, hence of
    other partitions, cannot be compared by their places.
    """
    groups = setting.groups()
    shown = [arm for group in groups for arm in setting.arms_of(group)]
    with_global = [arm for arm in shown if "global" in setting.stages(arm)]
    first = [arm for arm in setting.arms_of(groups[0]) if arm in with_global]
    if not first:
        return []
    paths = [folder / f"{kind}-{setting.slug}.svg" for kind in ("pareto", "convergence")]
    wanted = set(setting.arms.get(setting.config.baseline or "", {}))
    comparable = [arm for arm in with_global if wanted <= set(setting.arms[arm])]
    pareto(setting, comparable, paths[0])
    convergence(setting, first, paths[1])
    return paths
