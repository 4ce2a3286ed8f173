"""What a channel asks for: rows of which tables, changed how, and which of their columns."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from .filters import Filter, parsed

EVENTS = ("INSERT", "UPDATE", "DELETE")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One entry of ``postgres_changes``. ``select`` names the columns wanted, None is all."""

    id: int
    event: str
    schema: str
    table: str
    filters: Sequence[Filter] = ()
    select: tuple[str, ...] | None = None

    def concerns(self, kind: str, schema: str, table: str) -> bool:
        """Whether a change of this kind in this table is asked for, whatever the row."""
        return (
            self.event in (ANY, kind)
            and self.schema in (ANY, schema)
            and self.table in (ANY, table)
        )

    def shown(self) -> str:
        """As the server puts it when it complains."""
        filters = [(each.column, each.operator, each.value) for each in self.filters]
        return (
            f"[event: {self.event}, schema: {self.schema}, table: {self.table},"
            f" filters: {filters}, select: {list(self.select or [])}]"
        )


def identified(asked: Mapping[str, Any]) -> int:
    """The number under which a client is told of what it asked for: never zero."""
    canonical = json.dumps(asked, sort_keys=True).encode()
    return zlib.crc32(canonical) & 0x7FFFFFF or 1


def subscription(asked: Mapping[str, Any]) -> Subscription:
    """What a client asks for; raises ValueError in the server's words."""
    schema, table, written = asked.get("schema"), asked.get("table"), asked.get("filter")
    if schema is None and table is None:
        raise ValueError(
            "No subscription params provided. Please provide at least a `schema` or `table`"
            " to subscribe to"
        )
    try:
        filters = parsed(written) if isinstance(written, str) else ()
    except ValueError as error:
        raise ValueError(f"Error parsing `filter` params: {error}") from None
    event = str(asked.get("event", ANY)).upper()
    return Subscription(
        id=identified(asked),
        event=event if event in EVENTS else ANY,
        schema=str(schema or "public"),
        table=str(table or ANY),
        filters=filters,
        select=_select(asked.get("select"), wildcard=ANY in (schema, table or ANY)),
    )


def _select(names: object, *, wildcard: bool) -> tuple[str, ...] | None:
    if isinstance(names, str):
        raise ValueError("Error parsing `select` params: expected a list of column name strings")
    if not isinstance(names, list):
        return None
    columns = tuple(name for name in cast("list[object]", names) if isinstance(name, str))
    if columns and wildcard:
        raise ValueError(
            "Column selection is not supported for wildcard subscriptions."
            " Provide an explicit schema and table name."
        )
    return columns or None
