"""
The store in terms of the database's functions, whichever way leads to them.

A way (a direct connection, PostgREST) only has to call a function of schema ``notify``.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from xnovu.desk import Aside, Failed, Search
from xnovu.errors import Paused, Permanent, Retryable, XNovuError
from xnovu.events import Key, Locked, Notification, Recorded, Retraction, StatusChanged
from xnovu.retraction import Retracted
from xnovu.sending import Sending, SendTimes
from xnovu.sql import rows as read
from xnovu.sql.claims import LOST_ANSWERS, OUTDATED, SqlClaims
from xnovu.sql.errors import LOCKED, AnswerLost
from xnovu.sql.functions import Functions
from xnovu.sql.schema import functions, migrations
from xnovu.store import NOTHING, Outcome, Row

NAMED = 5
"""Rows that are named where some are set aside."""

PATIENCE, HARDLY = "1s", "10ms"
"""How long a lock of somebody else's is waited for that is none of a row's."""


class SqlStore(SqlClaims):
    """
    ``Store`` and ``Desk`` upon the functions; of one enterprise only where one is named.

    Every method raises:
        Paused: the database cannot be reached, does not answer, or is busy or not set up.
        Permanent: it refused somebody's row (of several, one at least); names the column or the
            like, never the value. Of ``insert`` also: not all of them are known to be in
            (``insert_unclear``, ``insert_unfinished``).
        ConfigurationError: it is not migrated.
    """

    def __init__(self, functions: Functions, enterprise_id: str | None = None) -> None:
        super().__init__(functions, enterprise_id)
        self._unsent: deque[str] = deque(maxlen=LOST_ANSWERS)  # tokens of lost answers

    async def open(self) -> None:
        """Begin to connect; does not wait for it."""
        await self._functions.open()

    async def close(self) -> None:
        await self._functions.close()

    async def renew(self) -> None:
        """Make every connection anew once it is free: a secret has changed."""
        await self._functions.renew()

    async def ready(self) -> str | None:
        """What is wrong with the database, in words; None if nothing is."""
        try:
            state = await self._state()
        except XNovuError as error:
            return str(error)
        version, ours = state["version"] or 0, migrations()[-1].version
        changed = state.get("functions") != functions()[-1].checksum
        if version < ours or (version == ours and changed):
            return OUTDATED
        if state["hidden"]:
            return "row-level security hides notify.ent_notification from its own owner"
        return None

    async def release(self, keys: Sequence[Key]) -> None:
        await self._of_keys("release", keys)

    async def told(self, keys: Sequence[Key]) -> None:
        await self._of_keys("told", keys)

    async def load(
        self, keys: Sequence[Key], most_bytes: int | None = None
    ) -> Mapping[Key, Row | Permanent]:
        return read.rows(await self._of_keys("load_rows", keys, max_bytes=most_bytes))

    async def begin_send(
        self, keys: Sequence[Key], times: SendTimes, said: Mapping[Key, Notification] = NOTHING
    ) -> Sending:
        """An answer may be lost: its token, shown the next time, tells that nothing was sent."""
        token, ours = str(uuid4()), [key for key in keys if self._ours(key.enterprise_id)]
        try:
            found = await self._in_parts(
                "begin_send",
                "keys",
                read.in_hand(ours, said),
                token=token,
                lease_seconds=times.lease,
                settle_seconds=times.settle,
                hold_seconds=times.hold,
                lost=list(self._unsent),
                remembered_seconds=times.remembered,
            )
        except (Paused, Retryable, asyncio.CancelledError):
            self._unsent.append(token)
            raise
        return Sending(token, {read.key(row): read.begun(row) for row in found})

    async def end_send(
        self, sending: Sending, unsent: Sequence[Key], unclear: Sequence[Key]
    ) -> None:
        ended = [
            {**entry, "unclear": is_unclear}
            for keys, is_unclear in ((unsent, False), (unclear, True))
            for entry in read.keys(keys)
        ]
        await self._in_parts("end_send", "keys", ended, token=sending.token)

    async def begin_retraction(
        self, keys: Sequence[Key], times: SendTimes
    ) -> Mapping[Key, Retracted]:
        found = await self._of_keys(
            "begin_retraction",
            keys,
            settle_seconds=times.settle,
            hold_seconds=times.hold,
        )
        return {read.key(row): read.retracted(row) for row in found}

    async def record_retractions(
        self, outcomes: Mapping[Key, Retraction]
    ) -> Sequence[StatusChanged | Locked]:
        ours = {key: told for key, told in outcomes.items() if self._ours(key.enterprise_id)}
        told = read.retractions(ours)
        return [read.retold(row) for row in await self._written("record_retractions", told)]

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[Recorded]:
        """As the port says; a returned event carries the row's ``claims``, whoever stated it."""
        # SENT wins over FAILED for the same row, also where the two fall into different calls.
        sent_first = sorted(outcomes, key=lambda outcome: outcome.failure is not None)
        told = read.outcomes(o for o in sent_first if self._ours(o.key.enterprise_id))
        return [read.recorded(row) for row in await self._written("record", told)]

    async def aside(self, most: int = 20) -> Sequence[Aside]:
        found = await self._functions.call("aside", most=most, of_enterprise=self.enterprise_id)
        return [read.aside(row) for row in found]

    async def redrive(
        self,
        keys: Sequence[Key],
        *,
        who: str | None = None,
        payloads: Mapping[Key, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Sequence[Key]:
        ours = [key for key in keys if self._ours(key.enterprise_id)]
        asked = [
            {**entry, **({"payload": payloads[key]} if key in payloads else {})}
            for key, entry in zip(ours, read.keys(ours), strict=True)
        ]
        return [read.key(row) for row in await self._changed("redrive", asked, who=who)]

    async def retract(self, keys: Sequence[Key], reason: str | None = None) -> Sequence[Key]:
        ours = read.keys(key for key in keys if self._ours(key.enterprise_id))
        return [read.key(row) for row in await self._changed("retract", ours, reason=reason)]

    async def note_operation(
        self, who: str, what: str, count: int, details: Mapping[str, Any]
    ) -> None:
        await self._functions.call(
            "note_operation", who=who, what=what, affected=count, details=dict(details)
        )

    async def failed(self, search: Search, limit: int) -> Sequence[Failed]:
        found = await self._functions.call(
            "failed",
            max_rows=min(limit, self._functions.most or limit),
            of_enterprise=self.enterprise_id or search.enterprise_id,
            of_code=search.code,
            since=search.since and search.since.isoformat(),
            until=search.until and search.until.isoformat(),
        )
        return [each for each in map(read.failed, found) if self._asked(each, search)]

    async def insert(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        if strangers := [row for row in rows if not self._ours(str(row.get("enterprise_id")))]:
            message = f"{len(strangers)} notifications are another enterprise's"
            raise Permanent(message, code="invalid_row")
        ids: list[int] = []
        for part in self._parts(read.columns(rows)):
            try:
                ids += await self._functions.call("enqueue", notifications=part)
            except XNovuError as error:
                raise _of_insert(error, ids) from None
        return ids

    async def history(self, notification_id: int) -> Mapping[str, Any] | None:
        found = await self._functions.call(
            "history", notification_id=notification_id, of_enterprise=self.enterprise_id
        )
        return read.json_of(found[0]) if found else None

    async def refused(self) -> str | None:
        """Which rows the database lets nobody change, in words, a few of them; None if none."""
        rows = await self.aside(NAMED + 1)
        if not rows:
            return None
        named = [f"{r.notification_id} of {r.enterprise_id}: {r.said}" for r in rows]
        more = ["and more"] if len(rows) > NAMED else []
        return f"set aside: {'; '.join([*named[:NAMED], *more])}"

    async def _of_keys(self, function: str, keys: Sequence[Key], **more: Any) -> Sequence[Any]:
        ours = read.keys(key for key in keys if self._ours(key.enterprise_id))
        return await self._in_parts(function, "keys", ours, **more)

    async def _written(self, function: str, outcomes: Sequence[Any]) -> list[Any]:
        """What it says of all; one that the database refuses is set aside, or locked."""
        found, refused = await self._halved(function, "outcomes", outcomes, patience=PATIENCE)
        for outcome, error in refused:
            if isinstance(error, Permanent):
                await self._set_aside(outcome, error)
            else:
                found.append({**outcome, "status": read.LOCKED})
        return found

    async def _changed(self, function: str, keys: Sequence[Any], **more: Any) -> list[Any]:
        """What it says of all; raises if the database refuses each of them."""
        found, refused = await self._halved(function, "keys", keys, patience=PATIENCE, **more)
        if refused and not found:
            raise refused[0][1]
        return found

    async def _halved(
        self, function: str, name: str, entries: Sequence[Any], **more: Any
    ) -> tuple[list[Any], list[tuple[Any, XNovuError]]]:
        """
        What it says of those that it takes, and the others, each with why it does not.

        A lock is waited for with ``patience`` once, and hardly in the parts: it may be all of
        theirs, such as a table's.
        """
        try:
            return await self._in_parts(function, name, entries, **more), []
        except (Permanent, Paused) as error:
            if isinstance(error, Paused):
                if error.code != LOCKED:
                    raise
                more["patience"] = HARDLY
            if len(entries) == 1:
                return [], [(entries[0], error)]
        half = len(entries) // 2
        first, refused = await self._halved(function, name, entries[:half], **more)
        then, more_refused = await self._halved(function, name, entries[half:], **more)
        return [*first, *then], [*refused, *more_refused]

    async def _set_aside(self, outcome: Mapping[str, Any], error: Permanent) -> None:
        """A row of which nothing can be written is passed by for a while."""
        await self._functions.call(
            "set_aside",
            which=outcome["id"],
            of_enterprise=outcome["enterprise_id"],
            said=str(error),
        )

    async def _in_parts(
        self, function: str, name: str, entries: Sequence[Any], **more: Any
    ) -> list[Any]:
        results: list[Any] = []
        for part in self._parts(entries):
            results += await self._functions.call(function, **{name: part, **more})
        return results

    def _parts(self, entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """All at once, or in as many calls as the most rows of one require."""
        size = self._functions.most or len(entries) or 1
        return (entries[at : at + size] for at in range(0, len(entries), size))

    @staticmethod
    def _asked(failed: Failed, search: Search) -> bool:
        """A store of one enterprise, asked for another's, has searched its own."""
        return search.enterprise_id in (None, failed.key.enterprise_id)

    def _ours(self, enterprise_id: str) -> bool:
        """Whether it is of the one enterprise; a UUID has several spellings, a database one."""
        ours = self.enterprise_id
        return ours in (None, enterprise_id) or _uuid(ours) == _uuid(enterprise_id) is not None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _of_insert(error: XNovuError, ids: Sequence[int]) -> XNovuError:
    """What keeps anyone from inserting twice: repeating it is for who has looked."""
    before = f"{len(ids)} notifications were inserted, {ids[-1]} the last, then: " if ids else ""
    if isinstance(error, AnswerLost):
        message = f"{before}{error}; they may have been inserted: look before you repeat it"
        return Permanent(message, code="insert_unclear")
    return Permanent(f"{before}{error}", code="insert_unfinished") if ids else error
