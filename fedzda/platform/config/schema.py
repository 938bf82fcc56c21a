"""JSON schema of a whole configuration, for editors.

pydantic writes draft 2020-12; the YAML language server reads draft 7, so references stand in
``allOf`` (draft 7 ignores what stands beside ``$ref``) and definitions in ``definitions``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fedzda.base import StrictConfig
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, Slot, slots, target_class
from fedzda.platform.config.problems import block_classes

DRAFT = "http://json-schema.org/draft-07/schema#"
_EXAMPLE_TARGET = "package.module:Name"


def config_schema() -> dict[str, Any]:
    """Schema of :class:`SimulationConfig` with every named component of every kind.

    Raises:
        UserError: A component's configuration class cannot be imported.
    """
    builder = _Builder()
    root = builder.block("simulation", SimulationConfig)
    schema = {
        "$schema": DRAFT,
        **root,
        "title": "fedzda simulation",
        "definitions": dict(sorted(builder.definitions.items())),
    }
    return _without_unused(_draft7(schema))


class _Builder:
    """Collects the definitions; a component's stands under ``kind.name``."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def block(self, key: str, model: type[StrictConfig]) -> dict[str, Any]:
        """Schema of a block; the classes inside it become definitions ``key.Class``."""
        schema = model.model_json_schema(ref_template=f"#/definitions/{key}.{{model}}")
        inside = {found.__name__: found for found in _nested(model)}
        for name, definition in schema.pop("$defs", {}).items():
            if name in inside:
                self._complete(inside[name], definition)
            self.definitions[f"{key}.{name}"] = definition
        self._complete(model, schema)
        return schema

    def _complete(self, model: type[StrictConfig], schema: dict[str, Any]) -> None:
        """Fill in the slots, and the descriptions that pydantic leaves to the class referred to."""
        for key, field in model.model_fields.items():
            if field.description:
                schema["properties"][key].setdefault("description", field.description)
        for key, slot in slots(model).items():
            field = model.model_fields[key]
            default = field.default if isinstance(field.default, Mapping) else {}
            property_: dict[str, Any] = {"anyOf": self._choices(slot, default.get("name"))}
            if None in getattr(field.annotation, "__args__", ()) or field.default is None:
                property_["anyOf"].append({"type": "null"})
            if slot.listed is not None:
                listed = self.definitions[f"{slot.kind}.{slot.listed}"]
                property_["anyOf"].append(listed["properties"][slot.listed])
            if field.description:
                property_["description"] = field.description
            schema["properties"][key] = property_

    def _choices(self, slot: Slot, default: str | None) -> list[dict[str, Any]]:
        keys = []
        for name, entry in sorted(plugins.entries(slot.kind).items()):
            key = f"{slot.kind}.{name}"
            keys.append(key)
            if key not in self.definitions:
                self.definitions[key] = {}  # a component may hold a slot of its own kind
                schema = self.block(key, plugins.config_class(slot.kind, name))
                self.definitions[key] = _named(schema, name, entry.summary, name != default)
        if slot.target:
            key = f"{slot.kind}.target"
            keys.append(key)
            if key not in self.definitions:
                self.definitions[key] = self.block(key, target_class(slot.kind, _EXAMPLE_TARGET))
        return [{"$ref": f"#/definitions/{key}"} for key in keys]


def _nested(model: type[StrictConfig]) -> list[type[StrictConfig]]:
    """All block classes inside a block, at any depth."""
    found = []
    for field in model.model_fields.values():
        for inner in block_classes(field.annotation):
            found += [inner, *_nested(inner)]
    return found


def _named(schema: dict[str, Any], name: str, summary: str, required: bool) -> dict[str, Any]:
    """The schema with its ``name`` fixed, which is how an editor tells the members apart."""
    properties = {"name": {"const": name, "description": summary}}
    properties |= {k: v for k, v in schema.get("properties", {}).items() if k != "name"}
    needed = [key for key in schema.get("required", []) if key != "name"]
    needed = ["name", *needed] if required else needed
    return {**schema, "properties": properties, **({"required": needed} if needed else {})}


def _draft7(node: Any) -> Any:
    if isinstance(node, list):
        return [_draft7(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _draft7(value) for key, value in node.items() if key != "discriminator"}
    if isinstance(node.get("title"), str):
        del node["title"]  # pydantic repeats the key there
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(node["description"].replace("``", "`").split())
    if "prefixItems" in node:
        node["items"] = node.pop("prefixItems")
    if "$ref" in node and len(node) > 1:
        node["allOf"] = [{"$ref": node.pop("$ref")}]
    return node


def _without_unused(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the general classes that the slots' unions have replaced."""
    definitions = schema["definitions"]
    wanted, open_keys = set(), _references({**schema, "definitions": {}})
    while open_keys:
        key = open_keys.pop()
        if key not in wanted:
            wanted.add(key)
            open_keys |= _references(definitions[key])
    kept = {key: value for key, value in definitions.items() if key in wanted}
    return {**schema, "definitions": kept}


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {key for item in node for key in _references(item)}
    if not isinstance(node, dict):
        return set()
    found = {key for value in node.values() for key in _references(value)}
    if isinstance(node.get("$ref"), str):
        found.add(node["$ref"].removeprefix("#/definitions/"))
    return found


def schema_text() -> str:
    """The schema as it is written to ``schema.json``."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
