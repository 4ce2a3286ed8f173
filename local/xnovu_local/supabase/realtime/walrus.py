"""
Who is told of a change, and what: by table, filter, columns, and row level security.

Source: the function `realtime.apply_rls` of supabase/walrus and supabase/realtime.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from .database import Database, Table, Texts, Value
from .keys import Claims
from .pgoutput import UNCHANGED, Change
from .subscriptions import Subscription

NO_KEY = "Error 400: Bad Request, no primary key"
UNAUTHORIZED = "Error 401: Unauthorized"
TOO_LARGE = "Error 413: Payload Too Large"
POLICY_FAILED = "Error 500: Internal Server Error, RLS policy evaluation failed"
SMALL = 64
"""Bytes of a value that is told even of a row that is too large."""

Data = Mapping[str, Any]
Values = Mapping[str, Value]


class Listener(Protocol):
    """Where changes are told: a channel."""

    def change(self, ids: Sequence[int], data: Data) -> None:
        """Take a change, for the subscriptions of these numbers."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Subscriber:
    """A subscription, in whose name it was made, and where it is told."""

    subscription: Subscription
    claims: Claims
    listener: Listener

    @property
    def role(self) -> str:
        return self.claims["role"]


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be told, and to whom."""

    data: Data
    subscribers: Sequence[Subscriber]

    def tell(self) -> None:
        """Once to each listener, however many of its subscriptions it is for."""
        for listener in {id(each.listener): each.listener for each in self.subscribers}.values():
            ids = [s.subscription.id for s in self.subscribers if s.listener is listener]
            listener.change(ids, self.data)


@dataclass(frozen=True, slots=True)
class Seen:
    """A change as one role may see it: texts for comparing, values for telling."""

    change: Change
    table: Table
    new: Texts
    old: Texts
    new_values: Values
    old_values: Values
    too_large: bool


class Walrus:
    """Applies the rules to some changes, one after the other."""

    def __init__(self, database: Database, max_record_bytes: int) -> None:
        self._database = database
        self._max_record_bytes = max_record_bytes
        self._tables: dict[tuple[str, str, str], Table] = {}

    async def events(self, change: Change, subscribers: Sequence[Subscriber]) -> Sequence[Event]:
        """What of a change is told to which of those whom it concerns."""
        events: list[Event] = []
        for role in sorted({each.role for each in subscribers}):
            of_role = [each for each in subscribers if each.role == role]
            events += await self._for_role(change, role, of_role)
        return events

    async def _for_role(
        self, change: Change, role: str, subscribers: Sequence[Subscriber]
    ) -> Sequence[Event]:
        table = await self._table(change.schema, change.table, role)
        if change.kind != "DELETE" and not table.key:
            return errors(change, NO_KEY, subscribers)
        if change.kind != "DELETE" and not all(column.selectable for column in table.key):
            return errors(change, UNAUTHORIZED, subscribers)
        seen = await self._seen(change, table)
        allowed, failed = await self._allowed(seen, subscribers)
        told = [Event(_data(seen, select), group) for select, group in _by_select(allowed)]
        return [*told, *errors(change, POLICY_FAILED, failed)]

    async def _table(self, schema: str, name: str, role: str) -> Table:
        known = self._tables.get((schema, name, role))
        if known is None:
            known = self._tables[schema, name, role] = await self._database.table(
                schema, name, role
            )
        return known

    async def _seen(self, change: Change, table: Table) -> Seen:
        new = {k: v for k, v in change.columns.items() if v is not UNCHANGED}
        old = change.old
        if old is None:  # the key has not changed
            old = {column.name: new[column.name] for column in table.key if column.name in new}
        new_values = await self._database.values(table, new)
        old_values = await self._database.values(table, {} if change.kind == "INSERT" else old)
        size = sum(value.size for value in (*new_values.values(), *old_values.values()))
        too_large = size > self._max_record_bytes
        return Seen(change, table, new, old, new_values, old_values, too_large)

    async def _allowed(
        self, seen: Seen, subscribers: Sequence[Subscriber]
    ) -> tuple[Sequence[Subscriber], Sequence[Subscriber]]:
        """Those who may see the row, and those whose policy failed to say."""
        allowed: list[Subscriber] = []
        failed: list[Subscriber] = []
        known: dict[str, bool | None] = {}
        for each in subscribers:
            if not await self._passes(seen, each.subscription):
                continue
            name = json.dumps(dict(each.claims), sort_keys=True)
            if name not in known:
                known[name] = await self._may_see(seen, each.claims)
            match known[name]:
                case True:
                    allowed.append(each)
                case None:
                    failed.append(each)
                case False:
                    pass
        return allowed, failed

    async def _passes(self, seen: Seen, subscription: Subscription) -> bool:
        filters = subscription.filters
        if await self._database.holds(seen.table, seen.new, filters):
            return True
        deleted = seen.change.kind == "DELETE"
        return deleted and await self._database.holds(seen.table, seen.old, filters)

    async def _may_see(self, seen: Seen, claims: Claims) -> bool | None:
        """None where the policy itself failed. Who may see a deleted row cannot be known."""
        if seen.change.kind == "DELETE" or not seen.table.secured:
            return True
        try:
            return await self._database.sees(seen.table, claims, seen.new)
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            return None


def _by_select(
    subscribers: Sequence[Subscriber],
) -> Iterable[tuple[tuple[str, ...] | None, Sequence[Subscriber]]]:
    """Each choice of columns is told by itself."""
    for select in dict.fromkeys(each.subscription.select for each in subscribers):
        yield select, [each for each in subscribers if each.subscription.select == select]


def errors(change: Change, error: str, subscribers: Sequence[Subscriber]) -> Sequence[Event]:
    """An error instead of the row. It has no commit time: clients that insist on one drop it."""
    data: dict[str, Any] = {
        "schema": change.schema,
        "table": change.table,
        "type": change.kind,
        "commit_timestamp": None,
        "columns": [],
        "errors": [error],
    }
    if change.kind != "DELETE":
        data["record"] = {}
    if change.kind != "INSERT":
        data["old_record"] = {}
    return [Event(data, group) for _, group in _by_select(subscribers)]


def _data(seen: Seen, select: tuple[str, ...] | None) -> Data:
    change, table = seen.change, seen.table
    shown = {
        column.name: {"name": column.name, "type": column.type}
        for column in table.columns.values()
        if column.selectable and (select is None or column.name in select or column.key)
    }
    data: dict[str, Any] = {
        "schema": change.schema,
        "table": change.table,
        "type": change.kind,
        "commit_timestamp": _timestamp(change),
        "columns": list(shown.values()),
        "errors": [TOO_LARGE] if seen.too_large else None,
    }
    if change.kind != "DELETE":
        data["record"] = _record(seen, {**seen.old_values, **seen.new_values}, shown)
    if change.kind != "INSERT":
        # Who might have seen a deleted row cannot be asked any more: only its key is told.
        keys = {column.name for column in table.key}
        hidden = change.kind == "DELETE" and table.secured
        data["old_record"] = _record(
            seen, seen.old_values, shown.keys() & keys if hidden else shown
        )
    return data


def _record(seen: Seen, values: Values, shown: Iterable[str]) -> Mapping[str, Any]:
    names = set(shown)
    return {
        name: value.json
        for name, value in values.items()
        if name in names and (not seen.too_large or value.size <= SMALL)
    }


def _timestamp(change: Change) -> str:
    return change.commit_time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
