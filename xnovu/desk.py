"""What people ask of the database, beside what the stages do: a port like the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from xnovu.events import Key


@dataclass(frozen=True, slots=True)
class Failed:
    """A notification that ended FAILED: which, with what error code, and when."""

    key: Key
    code: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which failed notifications: None is any; times are from ``since`` on, before ``until``."""

    enterprise_id: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, failed: Failed) -> bool:
        """Whether this one is meant."""
        return (
            self.enterprise_id in (None, failed.key.enterprise_id)
            and self.code in (None, failed.code)
            and (self.since is None or failed.at >= self.since)
            and (self.until is None or failed.at < self.until)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What an enterprise may have or, with a ``workflow_key``, its notifications of that workflow.

    ``weight`` is its part of what is sent, beside others with 1; ``concurrency`` how many of its
    rows may be PROCESSING at once, ``rate`` how many may be claimed per second (None: any number).
    A workflow has a ``concurrency``, and the ``priority`` of what states none.

    Each recipient of an enterprise begins with its ``recipient_prefix``, and its overrides have no
    other keys than those of ``overrides_allowed`` (None: any).
    """

    enterprise_id: str
    workflow_key: str | None = None
    weight: int | None = None
    concurrency: int | None = None
    rate: float | None = None
    priority: int | None = None
    recipient_prefix: str | None = None
    overrides_allowed: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """
    A row that the database lets nobody change, and that is therefore passed by for a while.

    ``said`` names the column, constraint or function that refuses it, and the SQLSTATE.
    """

    notification_id: int
    enterprise_id: str
    since: datetime
    tries: int
    said: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A workflow in use, and what stands in its ``payload_schema``, whatever that is."""

    enterprise_id: str
    workflow_key: str
    payload_schema: Any


class Desk(Protocol):
    """What people ask of the database: insert, look up, send again, take back."""

    async def insert(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        """
        Insert notifications (column → value), return their ids in order.

        Not to be repeated where the answer was lost: they may be there.
        """
        ...

    async def history(self, notification_id: int) -> Mapping[str, Any] | None:
        """One notification with its workflow and every transition; None if there is none."""
        ...

    async def aside(self, most: int = 20) -> Sequence[Aside]:
        """Rows that are set aside, the longest first."""
        ...

    async def waiting(self, notification_id: int) -> Mapping[str, Any] | None:
        """
        What one notification waits ``for``; None if for nothing, or there is none.

        ``schedule`` (``until``), ``concurrency`` or ``workflow`` (``most``, and ``in_hand``),
        ``rate`` (per second), its ``turn`` (``weight``, among so many ``enterprises``), ``stages``,
        ``retraction`` or ``publication`` (``since``), or, ``set_aside``, that it is tried again.
        Where it is known, ``ahead`` are rows of its enterprise that go before it (1,000: or more),
        and ``seconds`` says roughly how long.
        """
        ...

    async def registered(self, enterprise_id: str | None = None) -> Sequence[Registered]:
        """The workflows that are not deactivated, by enterprise and key."""
        ...

    async def limits(self, enterprise_id: str | None = None) -> Sequence[Limits]:
        """What limits there are, by enterprise and workflow."""
        ...

    async def limit(
        self, enterprise_id: str, changes: Mapping[str, Any], workflow_key: str | None = None
    ) -> bool:
        """
        Change the fields of :class:`Limits` that are named; None takes one back.

        False: there is no such workflow.
        """
        ...

    async def failed(self, search: Search, limit: int) -> Sequence[Failed]:
        """Up to ``limit`` failed notifications, the first to fail first."""
        ...

    async def redrive(
        self,
        keys: Sequence[Key],
        *,
        who: str | None = None,
        payloads: Mapping[Key, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Sequence[Key]:
        """
        Send FAILED notifications again as a new generation; return the keys they now have.

        Those that are not FAILED in that generation are left alone, so asking twice does it once.
        ``who`` is the audit's actor; ``payloads`` replaces the payload of some.
        """
        ...

    async def retract(self, keys: Sequence[Key], reason: str | None = None) -> Sequence[Key]:
        """Take notifications back, in whatever generation; return the keys of those changed."""
        ...

    async def note_operation(
        self, who: str, what: str, count: int, details: Mapping[str, Any]
    ) -> None:
        """Write into the audit what an operator did, to how many, and how they were chosen."""
        ...
