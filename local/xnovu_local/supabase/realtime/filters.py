"""
The filters of a subscription, such as ``id=gt.5,name=not.in.(a,b)``: all must hold.

Source: supabase/realtime, lib/extensions/postgres_cdc_rls/subscriptions.ex
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OPERATORS = {
    "eq": "=",
    "neq": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "in": "= ANY",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "is": "IS",
    "isdistinct": "IS DISTINCT FROM",
}
"""What each operator is in SQL."""
KEYWORDS = ("null", "true", "false", "unknown")
"""What may stand behind IS."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a column; ``value`` is as Postgres reads it."""

    column: str
    operator: str
    value: str
    negated: bool = False


def parsed(text: str) -> Sequence[Filter]:
    """The filters that a client has written; raises ValueError in the server's words."""
    return [_one(part) for part in _parts(text.strip())] if text.strip() else []


def _one(part: str) -> Filter:
    if not part.strip():
        raise ValueError("filter must not contain empty segments (check for extra commas)")
    column, equals, condition = part.strip().partition("=")
    if not equals:
        raise ValueError(_parsed_as(column))
    negated = condition.startswith("not.")
    operator, dot, value = condition.removeprefix("not.").partition(".")
    if not dot or operator not in OPERATORS:
        raise ValueError(_parsed_as(operator, *([value] if dot else [])))
    return Filter(column, operator, _value(operator, value), negated)


def _value(operator: str, value: str) -> str:
    if operator == "is" and value not in KEYWORDS:
        raise ValueError("invalid value for is filter: must be null, true, false, or unknown")
    if operator == "in":
        if not (value.startswith("(") and value.endswith(")")):
            raise ValueError("`in` filter value must be wrapped by parentheses")
        return "{" + value[1:-1] + "}"
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value


def _parts(text: str) -> Iterator[str]:
    """Split at commas, but for those in parentheses or quotes."""
    depth, quoted, part, before = 0, False, "", ""
    for char in text:
        if char == '"' and before != "\\" and (quoted or before in (".", "(", ",")):
            quoted = not quoted
        elif not quoted:
            depth = max(0, depth + (char == "(") - (char == ")"))
        if char == "," and depth == 0 and not quoted:
            yield part
            part = ""
        else:
            part += char
        before = char
    yield part


def _parsed_as(*parts: str) -> str:
    return "[" + ", ".join(f'"{part}"' for part in parts) + "]"
