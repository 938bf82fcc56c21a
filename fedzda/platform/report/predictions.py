"""What the final model makes of some test samples, where the task draws it."""

from __future__ import annotations

from fedzda.platform.report.blocks import embedded, section
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, tag


def part(data: RunData) -> Markup | None:
    """The picture in ``artifacts/predictions.png``."""
    file = data.folder.path / "artifacts" / "predictions.png"
    if not file.is_file():
        return None
    words = "Global test samples: input, truth and prediction of the final model"
    content = tag("div", embedded(file, words), class_="images")
    return section("Predictions", content, wide=True)
