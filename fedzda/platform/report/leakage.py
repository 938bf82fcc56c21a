"""The section on how close synthetic images come to the clients' own."""

from __future__ import annotations

from fedzda.platform.report.blocks import embedded, section, table
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP


def part(data: RunData) -> Markup | None:
    """What ``fedzda probe`` found, or None if it was not run."""
    sets = data.probe.get("sets")
    if not sets:
        return None
    made = sets[0]
    verdict = (
        "The synthetic images repeat what the clients hold: their nearest real image is one that a "
        "client trained on more often than chance says."
        if made["flagged"]
        else "The synthetic images are no nearer to the images that clients trained on than to "
        "others of the same clients."
    )
    rows = [
        [
            f"{row['set']} ({row['images']:,})",
            f"{row['distance']:.3g}",
            DASH if row["relative"] is None else f"{row['relative']:.2f}",
            f"{100 * row['too_close']:.1f}{NBSP}%",
            _signed(row["advantage"]),
            _signed(row["advantage_close"]),
        ]
        for row in sets
    ]
    columns = [
        *("Images", "Distance to the nearest own", "Of the floor", "Too close"),
        *("Advantage", "Of the close ones"),
    ]
    judge = data.probe["judge"]
    note = (
        "Distances are Euclidean, between the last features of a classifier that was trained on "
        f"the {judge['trained_on']:,} images of the global test set alone (accuracy "
        f"{100 * judge['accuracy']:.1f}{NBSP}%). The floor are fresh real images of the clients "
        "that nobody trained on; too close is what lies nearer than 99 % of them. The nearest "
        f"real image is a client's in {100 * made['chance']:.0f}{NBSP}% of the cases by chance: "
        "the advantage is 0 there and 1 if it always is. No flag is no proof of privacy."
    )
    file = data.folder.path / "artifacts" / "probe.png"
    pairs = "The synthetic images that come closest to a client's (above) and these (below)"
    picture = tag("div", embedded(file, pairs), class_="strips") if file.is_file() else None
    content = join(
        tag("p", verdict),
        table(columns, rows, "Synthetic images and the clients' own"),
        tag("p", note, class_="note"),
        picture,
    )
    return section("Do synthetic images give clients away?", content, wide=True)


def _signed(value: float | None) -> str:
    return DASH if value is None else f"{value:+.2f}".replace("-", "−")
