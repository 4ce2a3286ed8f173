"""Claiming rows and retractions, in terms of the database's functions."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from xnovu.errors import ConfigurationError, Paused, Retryable
from xnovu.events import Key, RetractRequested, StatusChanged
from xnovu.sql import rows as read
from xnovu.sql.functions import Functions
from xnovu.sql.limits import SqlLimits
from xnovu.store import HANDOVER, Claim

OUTDATED = "the database is not up to date: run `xnovu migrate`"
LOST_ANSWERS = 100
"""Calls without an answer that are kept in mind, the latest."""


class SqlClaims(SqlLimits):
    """
    The part of ``Store`` that claims; see :class:`xnovu.sql.store.SqlStore`.

    Each claim has a token. The next call tells the database which claims are on their way, and
    which got no answer: the rows of those are due again.
    """

    def __init__(self, functions: Functions, enterprise_id: str | None) -> None:
        super().__init__(functions, enterprise_id)
        self._served: str | None = None  # the enterprise whose turn it was last
        self._taken_back: str | None = None  # and whose retraction
        self._told: str | None = None  # and of which it was told
        self._in_hand: dict[Key, str] = {}  # the first row of a claim that is not handed over yet
        self._handed_over: list[str] = []
        self._unanswered: deque[str] = deque(maxlen=LOST_ANSWERS)

    async def claim(self, limit: int, lease: float, *, idle_only: bool = False) -> Sequence[Claim]:
        after = self._served
        found = await self._take("claim", limit, lease, after=after, idle_only=idle_only)
        claims = [read.claim(record) for record in found]
        if claims and not idle_only:
            self._served = claims[-1].captured.enterprise_id
        return claims

    async def claim_retractions(self, limit: int, lease: float) -> Sequence[RetractRequested]:
        after = self._taken_back
        found = await self._take("claim_retractions", limit, lease, after=after)
        if found:
            self._taken_back = found[-1]["enterprise_id"]
        return [read.retraction(record) for record in found]

    async def untold(self, limit: int) -> Sequence[StatusChanged]:
        found = await self._functions.call(
            "untold",
            most=min(limit, self._functions.most or limit),
            of_enterprise=self.enterprise_id,
            after=self._told,
        )
        if found:
            self._told = found[-1]["enterprise_id"]
        return [read.changed(record) for record in found]

    def handed_over(self, keys: Sequence[Key]) -> None:
        tokens = (self._in_hand.pop(key, None) for key in keys)
        self._handed_over += [token for token in tokens if token]

    async def now(self) -> datetime:
        """What time it is at the database."""
        if told := (await self._state()).get("now"):
            return datetime.fromisoformat(told)
        raise ConfigurationError(OUTDATED)

    async def next_due(self) -> float | None:
        told = list(self._handed_over)
        (seconds,) = await self._functions.call(
            "next_due", of_enterprise=self.enterprise_id, handed_over=told
        )
        self._handed_over = _without(self._handed_over, told)
        return seconds

    async def _state(self) -> Mapping[str, Any]:
        return read.json_of((await self._functions.call("state"))[0])

    async def _take(self, function: str, limit: int, lease: float, **more: Any) -> Sequence[Any]:
        token, told, lost = str(uuid4()), list(self._handed_over), list(self._unanswered)
        try:
            records = await self._functions.call(
                function,
                max_rows=min(limit, self._functions.most or limit),
                lease_seconds=lease,
                token=token,
                of_enterprise=self.enterprise_id,
                handover_seconds=HANDOVER,
                handed_over=told,
                lost=lost,
                **more,
            )
        except (Paused, Retryable, asyncio.CancelledError):
            self._unanswered.append(token)
            raise
        self._handed_over = _without(self._handed_over, told)
        self._unanswered = deque(_without(self._unanswered, lost), LOST_ANSWERS)
        self._in_hand.update((read.key(record), token) for record in records[:1])
        return records


def _without(tokens: Iterable[str], told: Sequence[str]) -> list[str]:
    return [token for token in tokens if token not in told]
