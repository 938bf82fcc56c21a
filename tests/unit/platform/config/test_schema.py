"""The JSON schema that editors use."""

import jsonschema
import pytest

from fedzda.platform import plugins
from fedzda.platform.catalog import CATALOG
from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.load import shipped
from fedzda.platform.config.schema import DRAFT, config_schema
from fedzda.platform.config.yaml_loader import load_file


@pytest.fixture(scope="module")
def schema():
    return config_schema()


@pytest.fixture(scope="module")
def validator(schema):
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def minimal(**changes):
    raw = {
        "name": "x",
        "data": {"name": "digits", "clients": 4},
        "model": {"name": "mlp"},
        "strategy": {"name": "fed-avg"},
    }
    return {**raw, **changes}


def test_it_is_draft_7_and_describes_every_key(schema):
    assert schema["$schema"] == DRAFT
    assert set(schema["properties"]) == set(SimulationConfig.model_fields)
    for key, definition in schema["properties"].items():
        assert definition.get("description"), key


@pytest.mark.parametrize("kind", ["datasets", "partitioners", "models", "strategies", "engines"])
def test_every_named_component_is_in_it(schema, kind):
    named = {key for key in schema["definitions"] if key.startswith(f"{kind}.")}
    assert {f"{kind}.{name}" for name in CATALOG[kind]} <= named
    for name in plugins.entries(kind):
        definition = schema["definitions"][f"{kind}.{name}"]
        assert definition["properties"]["name"]["const"] == name
        assert definition["additionalProperties"] is False


def test_every_reference_leads_somewhere(schema):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert len(node) == 1, "draft 7 ignores what stands beside a reference"
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for item in node:
                yield from references(item)

    known = {f"#/definitions/{key}" for key in schema["definitions"]}
    assert set(references(schema)) == known, "and no definition is left over"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_simulations_fit(validator, name):
    assert list(validator.iter_errors(load_file(shipped()[name]).data)) == []


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"engine": {"workers": 2}},
        {"engine": {"name": "inline"}},
        {"model": {"target": "mine:Net", "args": {"width": 3}}},
        {"data": {"target": "mine:load", "clients": 3, "partition": {"name": "iid"}}},
        {"local": {"optimizer": {"name": "adam", "betas": [0.9, 0.99]}}},
    ],
)
def test_what_the_loader_takes_fits(validator, change):
    assert list(validator.iter_errors(minimal(**change))) == []


@pytest.mark.parametrize(
    "change",
    [
        {"roundss": 3},
        {"rounds": -1},
        {"rounds": "many"},
        {"model": {"name": "nope"}},
        {"model": {}},
        {"engine": {"name": "inline", "workers": 2}},
        {"engine": {"target": "a:b"}},
        {"on_client_error": "stop"},
        {"local": {"optimizer": {"name": "adam", "momentum": 0.9}}},
        {"data": {"name": "digits", "partition": {"name": "pathological", "alpha": 1}}},
    ],
)
def test_what_the_loader_refuses_does_not_fit(validator, change):
    assert list(validator.iter_errors(minimal(**change)))
