"""`xnovu workflows check` of files; what is registered is in tests/contract."""

import json

import pytest

from xnovu.cli.workflows import check_file
from xnovu.errors import ConfigurationError

HOPELESS = {
    **{f"{n}": {"anyOf": [{"$ref": f"#/{n + 1}"}] * 2} for n in range(40)},
    "40": {},
    "items": {"$ref": "#/0"},
}


@pytest.mark.parametrize(
    ("schema", "code", "place"),
    [
        ({"required": ["name"]}, None, ""),
        (None, None, ""),
        ({"uniqueItems": True, "required": ["name"]}, None, ""),
        ({"properties": {"a": {"type": "text"}}}, "schema_invalid", "/properties/a/type"),
        ({"properties": {"a": {"pattern": "("}}}, "schema_invalid", "/properties/a/pattern"),
        ({"uniqueItems": "yes"}, "schema_invalid", "/uniqueItems"),
        ({"$ref": "https://example.org/a"}, "schema_invalid", "example.org"),
        ("text", "schema_invalid", "found a text"),
        (HOPELESS, "schema_too_costly", "(see /"),
    ],
    ids=lambda given: str(given)[:40],
)
async def test_what_is_wrong_with_a_schema_is_told_with_its_place(
    tmp_path, capsys, schema, code, place
):
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    assert await check_file(file, as_json=True) == (1 if code else 0)
    [told] = json.loads(capsys.readouterr().out)
    assert told["code"] == code
    assert place in (told["message"] or "")
    assert await check_file(file, as_json=False) == (1 if code else 0)
    assert ("ok" if code is None else code) in capsys.readouterr().out


async def test_a_file_that_is_no_json(tmp_path):
    (tmp_path / "schema.json").write_text("{")
    with pytest.raises(ConfigurationError, match="no JSON"):
        await check_file(tmp_path / "schema.json", as_json=False)
