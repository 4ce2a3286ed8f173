"""What is wrong with a row that cannot be read: in which column, and what was expected there."""

from typing import Any

from pydantic import ValidationError


def misfit(error: ValidationError) -> str:
    """Which columns were refused and where in them, what was expected, and what was found."""
    faults = [_fault(each) for each in error.errors(include_url=False, include_context=False)]
    return "; ".join(dict.fromkeys(faults))


def _fault(fault: Any) -> str:
    column, *place = fault["loc"] or ("JSON",)
    steps = [str(step) for step in place if step not in _SCHEMA_KINDS]
    where = f"{column}{''.join(f'/{step}' for step in steps)}"
    if column == "payload_schema":
        return f"{where}: expected an object, true or false, found {kind_of(fault['input'])}"
    expected = _EXPECTED.get(fault["type"], "something else")
    return f"{where}: expected {expected}, found {kind_of(fault['input'])}"


def kind_of(value: object) -> str:
    """What a value is, in JSON's words; never the value."""
    for kinds, said in _KINDS:
        if isinstance(value, kinds):
            return said
    return type(value).__name__


_SCHEMA_KINDS = ("dict[str,any]", "bool")
"""What pydantic adds to the path of what may be either."""
_EXPECTED = {
    "dict_type": "an object",
    "string_type": "a text",
    "string_unicode": "a text in UTF-8",
    "tuple_type": "a list",
    "list_type": "a list",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "missing": "it to be there",
    "json_invalid": "JSON",
}
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "a text"),
    ((list, tuple), "a list"),
    (dict, "an object"),
)
