"""The page of the fair-zda study: every table, every figure, and whether its bars hold.

    python benchmarks/fair_zda.py          # docs/studies/fair-zda.md, from the committed results

Results come from ``fedzda sweep fair-zda``; nothing is run here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import docs_page
import numpy as np

from fedzda.platform.sweep.cells import expand
from fedzda.platform.sweep.load import Sweep, load_sweep
from fedzda.platform.sweep.pages import section, write_charts
from fedzda.platform.sweep.tables import Setting, estimate, paired, settings

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "studies" / "fair-zda.md"
FIGURES = ROOT / "docs" / "studies" / "figures"
_PATHOLOGICAL, _DIRICHLET = "mnist-pathological", "mnist-dirichlet"
_CONTROLS = ("fed-avg", "oversampling", "placebo")
_SCALES = {"mean": 100.0, "worst10": 100.0, "variance_pp2": 1.0}
_UNITS = {"mean": "points", "worst10": "points", "variance_pp2": "pp²"}
_NAMES = {"mean": "mean", "worst10": "worst-10 %", "variance_pp2": "variance"}


@dataclass
class Bar:
    """One claim: what it says, what was found, and whether it holds (None: not measured yet)."""

    says: str
    found: str = "not measured yet"
    holds: bool | None = None

    def line(self) -> str:
        """A row of the table."""
        verdict = {True: "**holds**", False: "**fails**", None: "open"}[self.holds]
        return f"| {self.says} | {self.found} | {verdict} |"


def better(setting: Setting, first: str, second: str, figure: str) -> Bar:
    """Whether ``second`` is better than ``first``: the paired interval lies on the right side."""
    bar = Bar(f"{second} beats {first} in {_NAMES[figure]}")
    scale = _SCALES[figure]
    gap = paired(setting.figure(first, figure), setting.figure(second, figure))
    if gap is None or gap.n < 2:
        return bar
    low, high = scale * gap.low, scale * gap.high
    bar.found = f"{scale * gap.mean:+.1f} [{low:+.1f}, {high:+.1f}] {_UNITS[figure]}, {gap.n} seeds"
    bar.holds = high < 0 if figure == "variance_pp2" else low > 0
    return bar


def no_worse(setting: Setting, first: str, second: str, figure: str) -> Bar:
    """Whether the interval of ``second - first`` reaches to where ``second`` is as good."""
    bar = better(setting, first, second, figure)
    bar.says = f"{second} is no worse than {first} in {_NAMES[figure]}"
    gap = paired(setting.figure(first, figure), setting.figure(second, figure))
    if bar.holds is not None and gap is not None:
        bar.holds = gap.low <= 0 if figure == "variance_pp2" else gap.high >= 0
    return bar


def closes_the_distance(setting: Setting) -> Bar:
    """Share of the distance from FedAvg to the oracle: ratio of the mean gains, seeds paired."""
    bar = Bar("fed-zdac closes at least 80 % of the distance from fed-avg to oracle in mean")
    base, method, oracle = (
        setting.figure(arm, "mean") for arm in ("fed-avg", "fed-zdac", "oracle")
    )
    seeds = sorted(set(base) & set(method) & set(oracle))
    if len(seeds) < 2:
        return bar
    gains = np.array([method[seed] - base[seed] for seed in seeds])
    room = np.array([oracle[seed] - base[seed] for seed in seeds])
    share = gains.mean() / room.mean()
    spread = estimate(gains / room)
    assert spread is not None
    bar.found = (
        f"{share:.0%} of {100 * room.mean():.1f} points; by seed {spread.mean:.0%} "
        f"[{spread.low:.0%}, {spread.high:.0%}], {len(seeds)} seeds"
    )
    bar.holds = bool(share >= 0.8)
    return bar


def cuts_the_variance(setting: Setting) -> Bar:
    """By how much the variance falls, as a ratio of means."""
    bar = Bar("fed-zdac cuts the variance of fed-avg by at least 80 %")
    base, method = (setting.figure(arm, "variance_pp2") for arm in ("fed-avg", "fed-zdac"))
    seeds = sorted(set(base) & set(method))
    if len(seeds) < 2:
        return bar
    before = np.mean([base[seed] for seed in seeds])
    after = np.mean([method[seed] for seed in seeds])
    bar.found = f"{before:.1f} to {after:.1f} pp², {1 - after / before:.0%}, {len(seeds)} seeds"
    bar.holds = bool(after <= 0.2 * before)
    return bar


def not_dominated(setting: Setting, method: str) -> Bar:
    """Whether no arm with one global model and no images is better in both mean and variance, of
    those that have all of its seeds."""
    bar = Bar(f"no fairness baseline dominates {method} (mean and variance)")
    if method not in setting.arms:
        return bar
    seeds = set(setting.figure(method, "mean"))
    known = [arm for arm in setting.arms_of("baselines") if arm in setting.arms]
    baselines = [arm for arm in known if seeds <= set(setting.figure(arm, "mean"))]
    if not baselines:
        return bar
    dominating = []
    for arm in baselines:
        gaps = [
            paired(setting.figure(method, figure), setting.figure(arm, figure))
            for figure in ("mean", "variance_pp2")
        ]
        if gaps[0] and gaps[1] and gaps[0].mean > 0 and gaps[1].mean < 0:
            dominating.append(arm)
    bar.found = f"{len(baselines)} baselines, {len(seeds)} seeds; dominating: "
    bar.found += ", ".join(dominating) or "none"
    bar.holds = not dominating
    return bar


def bars(found: dict[str, Setting]) -> str:
    """Markdown: every bar of the study."""
    lines = ["| bar | found | |", "|---|---|---|"]
    if (own := found.get(_PATHOLOGICAL)) is not None:
        claims = [
            better(own, arm, "fed-zdac", figure)
            for arm in _CONTROLS
            for figure in ("mean", "worst10")
        ]
        claims += [closes_the_distance(own), cuts_the_variance(own)]
        pairs = (("fed-avg", "fed-zdas"), ("fed-avg-plain", "fed-zdas-plain"))
        claims += [better(own, *pair, figure) for pair in pairs for figure in _SCALES]
        claims += [
            no_worse(own, arm, "fed-zda", figure)
            for arm in ("fed-zdac", "fed-zdas")
            for figure in _SCALES
        ]
        claims += [
            not_dominated(own, method) for method in ("fed-zdac", "fed-zdas", "fed-zdas-plain")
        ]
        lines += [bar.line() for bar in claims]
    if (own := found.get(_DIRICHLET)) is not None:
        for figure in ("mean", "worst10"):
            bar = better(own, "fed-avg", "fed-zdac", figure)
            bar.says += ", Dirichlet 0.1"
            lines.append(bar.line())
    return "\n".join(lines)


def body(sweep: Sweep, found: list[Setting]) -> str:
    """Markdown: tables and figures of every setting."""
    parts = []
    for setting in found:
        parts.append(deeper(section(setting)))
        for path in write_charts(setting, FIGURES):
            kind = "Mean against variance" if "pareto" in path.name else "Accuracy over rounds"
            parts.append(f"![{kind}, {setting.title}](figures/{path.name})")
    done = sum(len(own) for setting in found for own in setting.arms.values())
    total = len(expand(sweep))
    parts.insert(0, f"{done} of {total} cells are finished.")
    return "\n\n".join(parts)


def deeper(text: str) -> str:
    """The text with its headings one level down: they stand under a heading of the page."""
    return re.sub(r"^#", "##", text, flags=re.M)


def main() -> None:
    """Write the page and its figures."""
    FIGURES.mkdir(exist_ok=True)
    sweep = load_sweep("fair-zda")
    found = settings(sweep, expand(sweep))
    docs_page.put(PAGE, "bars", bars({s.labels["data"]: s for s in found}))
    docs_page.put(PAGE, "tables", body(sweep, found))
    tuning = load_sweep("fair-zda-tuning")
    tried = settings(tuning, expand(tuning))
    sections = "\n\n".join(deeper(section(own)) for own in tried)
    docs_page.put(PAGE, "tuning", sections or "Nothing yet.")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
