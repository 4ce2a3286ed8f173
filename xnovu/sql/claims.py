"""Claiming rows and retractions, in terms of the database's functions."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

from xnovu.errors import Paused, Retryable
from xnovu.events import Key, RetractRequested
from xnovu.ports import HANDOVER, LATE, Claim
from xnovu.sql import rows as read
from xnovu.sql.functions import Functions
from xnovu.sql.limits import SqlLimits


class SqlClaims(SqlLimits):
    """The part of ``Store`` that claims; see :class:`xnovu.sql.store.SqlStore`."""

    def __init__(self, functions: Functions, enterprise_id: str | None) -> None:
        super().__init__(functions, enterprise_id)
        self._unanswered: dict[str, float] = {}
        self._served: str | None = None  # the enterprise whose turn it was last
        self._unheard: list[str] = []
        self._in_hand: dict[Key, str] = {}  # the first row of a claim that is not handed over yet
        self._on_their_way: list[str] = []

    async def claim(self, limit: int, lease: float, *, idle_only: bool = False) -> Sequence[Claim]:
        return await self._lost_claims() or await self._claim(limit, lease, idle_only=idle_only)

    def handed_over(self, keys: Sequence[Key]) -> None:
        tokens = (self._in_hand.pop(key, None) for key in keys)
        self._on_their_way += [token for token in tokens if token]

    async def claim_retractions(self, limit: int, lease: float) -> Sequence[RetractRequested]:
        """An answer may be lost: asked again with its token, the database says the same."""
        token, again = (self._unheard.pop(), True) if self._unheard else (str(uuid4()), False)
        told = list(self._on_their_way)
        try:
            records = await self._functions.call(
                "claim_retractions",
                max_rows=min(limit, self._functions.most or limit),
                lease_seconds=lease,
                token=token,
                of_enterprise=self.enterprise_id,
                again=again,
                handover_seconds=HANDOVER,
                handed_over=told,
            )
        except (Paused, Retryable, asyncio.CancelledError):
            self._unheard.append(token)
            raise
        self._were_told(told)
        events = [read.retraction(record) for record in records]
        self._in_hand.update((event.key, token) for event in events[:1])
        return events

    async def next_due(self) -> float | None:
        told = list(self._on_their_way)
        (seconds,) = await self._functions.call(
            "next_due", of_enterprise=self.enterprise_id, handed_over=told
        )
        self._were_told(told)
        return seconds

    async def _claim(self, limit: int, lease: float, *, idle_only: bool) -> Sequence[Claim]:
        """An answer may be lost: the token tells the rows that were taken all the same."""
        token, told = str(uuid4()), list(self._on_their_way)
        try:
            records = await self._functions.call(
                "claim",
                max_rows=min(limit, self._functions.most or limit),
                lease_seconds=lease,
                token=token,
                of_enterprise=self.enterprise_id,
                after=self._served,
                idle_only=idle_only,
                handover_seconds=HANDOVER,
                handed_over=told,
            )
        except (Paused, Retryable, asyncio.CancelledError):
            self._unanswered[token] = time.monotonic() + LATE
            raise
        self._were_told(told)
        claims = [read.claim(record) for record in records]
        self._in_hand.update((claim.captured.key, token) for claim in claims[:1])
        if claims and not idle_only:
            self._served = claims[-1].captured.enterprise_id
        return claims

    async def _lost_claims(self) -> Sequence[Claim]:
        """What a call without an answer has taken, be it that it was still under way till now."""
        for token, until in list(self._unanswered.items()):
            # One asks for each: two would both return what it has taken.
            if self._unanswered.pop(token, None) and (claims := await self._taken(token, until)):
                return claims
        return ()

    async def _taken(self, token: str, until: float) -> Sequence[Claim]:
        """What this token has taken; while that may still change, it stays in the books."""
        try:
            records = await self._functions.call("claimed", token=token)
        except BaseException:
            self._unanswered[token] = until
            raise
        if not records and time.monotonic() < until:
            self._unanswered[token] = until
        claims = [read.claim(record) for record in records]
        self._in_hand.update((claim.captured.key, token) for claim in claims[:1])
        return claims

    def _were_told(self, tokens: Sequence[str]) -> None:
        self._on_their_way = [each for each in self._on_their_way if each not in tokens]
