"""What the final model makes of some test samples, where the task draws it."""

from __future__ import annotations

from typing import Any

from fedzda.platform.report.blocks import embedded, section
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, tag

_ORDERS = {
    "segmentation": "from left to right photograph, truth and prediction",
    "denoising": "row by row noisy, after the final model, and truth",
    "super-resolution": "row by row bicubic, after the final model, and truth",
    "diffusion": "images that the final model makes of noise",
}
"""What is seen where, by task; tasks of one's own know best themselves."""


def words(task: Any, forms: bool = False) -> str:
    """The caption of the picture.

    Args:
        task: The block ``task`` of the run's configuration.
        forms: Whether devices run several forms of the model.
    """
    name = task.get("name") if isinstance(task, dict) else None
    known = _ORDERS.get(str(name), "what the final model makes of them")
    begin = "Samples: " if name == "diffusion" else "Global test samples: "
    return begin + known + (", in every form that devices run" if forms else "")


def part(data: RunData) -> Markup | None:
    """The picture in ``artifacts/predictions.png``."""
    file = data.folder.path / "artifacts" / "predictions.png"
    if not file.is_file():
        return None
    caption = words(data.folder.config.get("task"), bool(data.folder.summary.get("variants")))
    content = tag("div", embedded(file, caption), class_="images drawn")
    return section("Predictions", content, wide=True)
