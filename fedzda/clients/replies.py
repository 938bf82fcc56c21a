"""What a simulated device answers to a request."""

from __future__ import annotations

from typing import Any

from fedzda.clients.evaluation import Figures
from fedzda.platform.data.federation import Split
from fedzda.platform.engines.calls import Call, Reply
from fedzda.platform.records import Content

IDLE = {"num-examples": 0, "loss": 0.0, "steps": 0}
"""What a client without samples of the current phase says; it counts nothing in the mean."""


def trained_reply(
    call: Call,
    arrays: dict[str, Any],
    metrics: dict[str, Any],
    details: dict[str, Any],
    state: Content,
) -> Reply:
    """The reply to a train request; a client that withholds its whole model sends none."""
    content = Content({"arrays": arrays} if arrays else {}, {"metrics": metrics})
    return Reply(call.client, content, details=details, split="train", state=state)


def split_of(call: Call) -> Split:
    """Which samples an evaluation request is about."""
    split: Any = call.content.config().get("split", "test")
    return split  # type: ignore[no-any-return]


def evaluated_reply(call: Call, size: int, figures: Figures) -> Reply:
    """The reply to an evaluation request; what the client keeps is left as it is."""
    metrics, details = figures
    content = Content(metrics={"metrics": {"num-examples": size, **metrics}})
    return Reply(call.client, content, details=details, split=split_of(call))
