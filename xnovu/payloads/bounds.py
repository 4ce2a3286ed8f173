"""What a row may be at the most; looked at before anything else is done with it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError, from_json, to_json

from xnovu.errors import Permanent
from xnovu.events import TRANSACTION_ID, Notification, is_transaction_id

LISTS = ("recipients", "tags", "channels")


class RowOptions(BaseModel):
    """
    The bounds of one row, and of the work that it may cause.

    ``max_bytes`` is for payload and overrides together, as JSON, and for a workflow's schema (Novu
    takes 512 KB), ``max_depth`` for how deep their objects and arrays are nested, ``max_members``
    for recipients, tags and channels, each. A payload whose check may take long is checked in one
    of ``checkers`` processes beside the stage, which may use ``check_seconds`` of CPU time and
    ``check_memory`` bytes for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(default=524_288, ge=1)
    max_depth: int = Field(default=100, ge=1, le=200)
    max_members: int = Field(default=10_000, ge=1)
    checkers: int = Field(default=4, ge=1)
    check_seconds: float = Field(default=1.0, gt=0, le=60)
    check_memory: int = Field(default=268_435_456, ge=67_108_864)


def check_bounds(row: Notification, bounds: RowOptions) -> bytes:
    """
    The payload as JSON, of a row that keeps within its bounds.

    Raises:
        Permanent: ``invalid_row`` or ``too_large``, with the column and what it may be.
    """
    if not is_transaction_id(row.transaction_id):
        raise Permanent(f"transaction_id is not {TRANSACTION_ID}", code="invalid_row")
    _check_members(row, bounds.max_members)
    payload = _json("payload", row.payload)
    overrides = b"" if row.overrides is None else _json("overrides", row.overrides)
    _check_size(len(payload) + len(overrides), bounds.max_bytes)
    _check_depth("payload", row.payload, payload, bounds.max_depth)
    _check_depth("overrides", row.overrides, overrides, bounds.max_depth)
    return payload


def _check_members(row: Notification, most: int) -> None:
    for column in LISTS:
        if (count := len(getattr(row, column))) > most:
            message = f"{column} has {count} members; {most} at the most (rows.max_members)"
            raise Permanent(message, code="invalid_row")


def _check_size(size: int, most: int) -> None:
    if size > most:
        message = f"payload and overrides are {size} bytes; {most} at the most (rows.max_bytes)"
        raise Permanent(message, code="too_large")


def _check_depth(column: str, value: object, text: bytes, most: int) -> None:
    brackets = text.count(b"{") + text.count(b"[")  # nothing is deeper than it has brackets
    if brackets > most and _is_deeper(value, most):
        message = f"{column} is nested more than {most} deep (rows.max_depth)"
        raise Permanent(message, code="invalid_row")


def _json(column: str, value: object) -> bytes:
    try:
        text = to_json(value, inf_nan_mode="constants")
        if b"Infinity" in text:  # a number, or only a word in a string
            from_json(text, allow_inf_nan=False)
        return text
    except (PydanticSerializationError, ValueError):  # no cause: it quotes the value
        message = f"{column} cannot be written as JSON, such as a number larger than 1.8e308"
    raise Permanent(message, code="invalid_row")


def _is_deeper(value: object, most: int) -> bool:
    """Level by level: nothing here may be nested too deep to be looked at."""
    level = [value]
    for _ in range(most):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return False
    return True


def _inner(value: object) -> Iterable[object]:
    """The objects and arrays in an object or array."""
    every: Iterable[object] = ()
    if isinstance(value, dict):
        every = cast("Mapping[str, object]", value).values()
    elif isinstance(value, list):
        every = cast("Sequence[object]", value)
    return (each for each in every if type(each) in (dict, list))
