"""``variant:`` of a class of devices, read: a name, a block, or a class of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

from pydantic import Field, ValidationError, create_model

from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.config import VariantConfig
from fedzda.platform.config.problems import from_pydantic, shown

_TARGET = "target"
_DESCRIBED = {"use_attribute_docstrings": False}  # see fedzda.platform.config.specialise


def variant_config(value: Any) -> VariantConfig:
    """The configuration of a form of the model.

    Args:
        value: A name, ``{name: …, key: value}``, or ``{target: package.module:Name, args: {…}}``,
            where ``args`` are keys of the class's own ``Config``.

    Raises:
        ValueError: Nothing of this kind, or keys and values that the form does not take.
    """
    if isinstance(value, VariantConfig):
        return value
    block = {"name": value} if isinstance(value, str) else value
    known = isinstance(block, Mapping) and isinstance(block.get(_TARGET, block.get("name")), str)
    if not known:
        raise ValueError(
            f"a variant is a name or a block with a 'name' or a 'target' (got {shown(value)})"
        )
    try:
        block = _flat(block)
        config = _class(block)
        found = config.model_validate(block)
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from None
    except ValidationError as error:
        title = block.get(_TARGET, block.get("name"))
        problems = from_pydantic(error, config, block)
        told = " ".join(f"variant '{title}': {p.sentence}" for p in problems)
        raise ValueError(told.rstrip(".")) from None
    return found


def variant_class(config: VariantConfig) -> Any:
    """The class of a form, :class:`fedzda.base.Variant`."""
    target = getattr(config, _TARGET, None)
    return (
        plugins.load("variants", config.name) if target is None else plugins.import_target(target)
    )


def _flat(block: Mapping[str, Any]) -> dict[str, Any]:
    """``args`` of a class of the user's own beside its ``target``."""
    found = dict(block)
    args = found.pop("args", {}) if _TARGET in block else {}
    if not isinstance(args, Mapping):
        raise UserError(f"'args' should be a mapping (got {shown(args)}).")
    return {**found, **args}


def _class(block: Mapping[str, Any]) -> type[VariantConfig]:
    if _TARGET in block:
        return _own_class(block[_TARGET])
    found: type[VariantConfig] = plugins.config_class("variants", block["name"])
    return found


@functools.cache
def _own_class(target: str) -> type[VariantConfig]:
    """The user's own ``Config``, which also remembers where it comes from."""
    own = getattr(plugins.import_target(target), "Config", None)
    if not (isinstance(own, type) and issubclass(own, VariantConfig)):
        raise UserError(
            f"target '{target}' has no Config that derives from fedzda.platform.config."
            "VariantConfig. Give the class one (docs/guides/plug-ins.md)."
        )
    fields: dict[str, Any] = {_TARGET: (str, Field(default=target))}
    if own.model_fields["name"].is_required():
        fields["name"] = (str, target.rpartition(":")[2])
    made = create_model(own.__name__, __base__=own, __cls_kwargs__=_DESCRIBED, **fields)
    return cast("type[VariantConfig]", made)
