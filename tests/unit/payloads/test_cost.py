"""What a schema may ask for."""

from math import inf

import pytest

from xnovu.payloads.cost import cost_of

ORDER = {
    "$defs": {"id": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$", "title": "An id"}},
    "type": "object",
    "required": ["order"],
    "properties": {
        "order": {"$ref": "#/$defs/id"},
        "lines": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/id"}, {"type": "null"}]}},
        "price": {"type": "number", "multipleOf": 0.01},
        "mail": {"type": "string", "format": "email"},
        "id": {"enum": ["a", "b"]},
    },
    "additionalProperties": False,
}


def test_an_ordinary_schema_is_cheap():
    assert cost_of(ORDER).is_cheap
    assert cost_of(True).is_cheap


@pytest.mark.parametrize(
    ("schema", "at"),
    [
        ({"properties": {"a/b": {"uniqueItems": True}}}, "/properties/a~1b"),
        ({"items": [{}, {"unevaluatedProperties": False}]}, "/items/1"),
        ({"not": {"$ref": "#"}}, "/not"),
        ({"not": {"$ref": "https://example.org/x"}}, "/not"),
        ({"not": {"$ref": 3}}, "/not"),
        ({"not": {"$id": "x", "$ref": "#/a"}}, "/not"),
        ({"not": {"pattern": "(?=a)b"}}, "/not"),
        ({"not": {"pattern": "(a)\\1"}}, "/not"),
        ({"patternProperties": {"a++": True}}, ""),
        ({"not": {"format": "regex"}}, "/not"),
    ],
    ids=repr,
)
def test_what_depends_on_the_payload_is_named(schema, at):
    cost = cost_of(schema)
    assert (cost.subschemas, cost.at, cost.is_hopeless) == (inf, at, False)


@pytest.mark.parametrize("pattern", ["(a{50}){50}", "(\\w{2,99}){40}", "a" * 2_000])
def test_a_pattern_counts_as_it_is_written_out(pattern):
    assert not cost_of({"pattern": pattern}).is_cheap


def test_what_doubles_at_each_level_is_hopeless():
    both = {f"{n}": {"anyOf": [{"$ref": f"#/{n + 1}"}, {"$ref": f"#/{n + 1}"}]} for n in range(40)}
    cost = cost_of({**both, "40": {}, "$ref": "#/0"})
    assert cost.is_hopeless
    assert cost.at


def test_a_reference_to_nowhere_or_along_a_chain_is_followed_to_its_end():
    assert cost_of({"$ref": "#/a/0/b"}).is_cheap
    assert cost_of({"a": [{"b": {"type": "string"}}], "$ref": "#/a/0/b"}).is_cheap
    chain = {f"{n}": {"$ref": f"#/{n + 1}"} for n in range(5_000)}
    assert not cost_of({**chain, "$ref": "#/0"}).is_cheap
