"""Which layers of a model are looked at where teachers and a student are compared inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedzda.base import UserError


def layers_of(
    model: Any, wanted: Sequence[str] | None, key: str = "strategy.dtid.layers"
) -> list[str]:
    """The layers asked for, or the outputs of all stages of a built-in model.

    Args:
        model: A ``torch.nn.Module``.
        wanted: Names of modules; None: what the model's ``stages`` names.
        key: What errors call ``wanted``.

    Raises:
        UserError: The model has no such module, or none was asked for and it names no stages.
    """
    name = type(model).__name__
    if wanted is None:
        stages = getattr(model, "stages", None)
        if not stages:
            raise UserError(
                f"{key} is left out, and model {name} does not name its stages. List the modules "
                "whose outputs are to be distilled."
            )
        return list(stages)
    known = dict(model.named_modules())
    missing = [layer for layer in wanted if layer not in known]
    if missing:
        stages = getattr(model, "stages", None)
        hint = f" Its stages end in {', '.join(stages)}." if stages else ""
        raise UserError(
            f"{key} names '{missing[0]}', which model {name} does not have.{hint} Name modules as "
            "torch's named_modules() does, or leave it out."
        )
    return list(wanted)
