"""The JSON Schema for editors agrees with what is read."""

import jsonschema
import pytest
from hypothesis import given
from ruamel.yaml import YAML

from cfair.families import FAMILIES
from cfair.spec import ModelSpec, dump_spec, shipped_models, spec_schema

from strategies import LAW, specs

SCHEMA = jsonschema.Draft202012Validator(spec_schema())
NODE = {"mechanism": "gaussian"}
WRONG = {
    "unknown key": {"nam": "x"},
    "unknown key of a node": {"nodes": {"y": {**NODE, "latnt": True}}},
    "unknown mechanism": {"nodes": {"y": {"mechanism": "gausian"}}},
    "levels of a real": {"nodes": {"y": {**NODE, "levels": ["a", "b"]}}},
    "three binary levels": {"nodes": {"y": {"mechanism": "bernoulli", "levels": ["a", "b", "c"]}}},
    "no levels": {"nodes": {"y": {"mechanism": "categorical"}}},
    "scale of a count": {"nodes": {"y": {"mechanism": "poisson", "parameters": {"scale": 1}}}},
    "negative scale": {"nodes": {"y": {**NODE, "parameters": {"scale": -1}}}},
    "normal variance": {"nodes": {"y": {**NODE, "prior": {"variance": {"normal": 1}}}}},
    "reserved name": {"nodes": {"y": NODE, "y=1": NODE}},
    "no protected": {"protected": []},
    "latent a word": {"nodes": {"y": {**NODE, "latent": "yes"}}},
}


def test_it_is_a_schema_and_names_every_family() -> None:
    jsonschema.Draft202012Validator.check_schema(spec_schema())
    assert [each["title"] for each in spec_schema()["properties"]["nodes"]["additionalProperties"]["oneOf"]] == [*FAMILIES, "python"]


@pytest.mark.parametrize("name", shipped_models())
def test_the_shipped_models_satisfy_it(name: str) -> None:
    SCHEMA.validate(YAML(typ="safe").load(shipped_models()[name].read_text()))


@LAW
@given(specs())
def test_every_written_declaration_satisfies_it(spec: ModelSpec) -> None:
    SCHEMA.validate(YAML(typ="safe").load(dump_spec(spec)))


@pytest.mark.parametrize("case", WRONG)
def test_it_refuses_what_it_can_see(case: str) -> None:
    good = {"protected": ["y"], "outcome": "y", "nodes": {"y": NODE}}
    assert SCHEMA.is_valid(good)
    assert not SCHEMA.is_valid(good | WRONG[case])
