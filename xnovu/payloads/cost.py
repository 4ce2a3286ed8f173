"""How much work a JSON Schema may ask for, told from how it is written: nothing of it is done."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any, cast
from urllib.parse import unquote

from xnovu.payloads.worker import pointer

Schema = dict[str, Any] | bool

CHEAP = 2_000
"""Subschemas at the most, references followed, of a schema that is cheap."""
HOPELESS = 1e8
"""Subschemas at the most, of a schema that is tried at all."""
READ = 65_536
"""Bytes of a schema that are looked at; a larger one is not cheap."""

_COSTLY = frozenset(
    {
        "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef",
        "contentEncoding", "contentMediaType", "contentSchema", "unevaluatedItems",
        "unevaluatedProperties", "uniqueItems",
    }
)  # fmt: skip
"""Keywords whose work is not told by their subschemas, such as comparing each with each."""
_SUBSCHEMAS = frozenset(
    {
        "additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "else", "if",
        "items", "not", "oneOf", "prefixItems", "propertyNames", "then",
    }
)  # fmt: skip
"""Keywords that hold a schema, or a list of schemas."""
_NAMED = frozenset({"dependencies", "dependentSchemas", "patternProperties", "properties"})
"""Keywords that hold schemas by name."""
_VALUES = frozenset({"const", "dependencies", "dependentRequired", "enum", "required"})
"""Keywords that hold values to be compared with."""
_DIVISION = 1_000.0
"""What one division costs, of numbers of any length."""
_BACKTRACKS = re.compile(r"\(\?(?!:)|\\[1-9kKG]|[*+?}]\+")
_REPEATED = re.compile(r"\{(\d{1,6})(?:,(\d{0,6}))?\}")


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What a schema may ask for, of each value in a payload.

    ``subschemas``: how many may be applied to it, references followed; infinite where that depends
    on the payload. ``at`` is a JSON Pointer to the innermost place at which it is not cheap.
    """

    subschemas: float
    at: str = ""

    @property
    def is_cheap(self) -> bool:
        return self.subschemas <= CHEAP

    @property
    def is_hopeless(self) -> bool:
        """Whether it is finite, and no computer comes to its end."""
        return HOPELESS < self.subschemas < inf


def cost_of(schema: Schema) -> Cost:
    """Follow every reference once."""
    survey = _Survey(schema)
    try:
        return Cost(survey.of(schema, ""), survey.place or "")
    except RecursionError:
        return Cost(inf)


@dataclass(slots=True)
class _Survey:
    root: Schema
    place: str | None = None
    known: dict[int, float] = field(default_factory=dict[int, float])

    def of(self, schema: object, at: str) -> float:
        keywords, which = _fields(schema), id(schema)
        if which not in self.known:
            self.known[which] = inf  # if it is met again meanwhile, it holds itself
            total = 1.0 + sum(self._keyword(name, value, at) for name, value in keywords.items())
            self.known[which] = total
            if total > CHEAP and self.place is None:
                self.place = at
        return self.known[which]

    def _keyword(self, name: str, value: object, at: str) -> float:
        match name, value:
            case "$ref", str():
                return self._referred(value)
            case "pattern", str():
                return _pattern(value)
            case "multipleOf", _:
                return _DIVISION
            case ("$id" | "id", str()) if at:  # references below it are to another document
                return inf
            case ("format", "regex") | ("$ref" | "pattern", _):
                return inf
            case _:
                costly = name in _COSTLY
                return inf if costly else 1.0 + self._parts(name, value, f"{at}/{name}")

    def _parts(self, name: str, value: object, at: str) -> float:
        total = 0.0
        if name in _NAMED or name in _SUBSCHEMAS:
            inner = _by_name(value) if name in _NAMED else _listed(value)
            total += sum(self.of(each, f"{at}{step}") for step, each in inner)
        if name == "patternProperties":
            total += sum(_pattern(each) for each in _fields(value))
        return total + (_values(value) if name in _VALUES else 0.0)

    def _referred(self, reference: str) -> float:
        if reference != "#" and not reference.startswith("#/"):
            return inf
        target: object = self.root
        for step in unquote(reference[1:]).split("/")[1:]:
            target = _member(target, step.replace("~1", "/").replace("~0", "~"))
        return 1.0 + self.of(target, unquote(reference[1:]))


def _member(value: object, step: str) -> object:
    if isinstance(value, list):
        items = cast("Sequence[object]", value)
        return items[int(step)] if step.isdecimal() and int(step) < len(items) else None
    return _fields(value).get(step)


def _listed(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, list):
        yield from ((f"/{n}", each) for n, each in enumerate(cast("Sequence[object]", value)))
    else:
        yield "", value


def _by_name(value: object) -> Iterator[tuple[str, object]]:
    for name, each in _fields(value).items():
        yield pointer((name,)), each


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _values(value: object) -> float:
    """How many values are in a value."""
    count, pending = 0.0, [value]
    while pending:
        each = pending.pop()
        count += 1
        pending += [inner for _, inner in (*_by_name(each), *_listed(each)) if inner is not each]
    return count


def _pattern(text: str) -> float:
    """What a match costs for each character: how long the pattern is, repetitions written out."""
    if _BACKTRACKS.search(text):
        return inf
    times = (max(int(least), int(most or 0), 1) for least, most in _REPEATED.findall(text))
    return float(1 + len(text) * prod(times))
