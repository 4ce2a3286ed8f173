"""What Novu's look-up tells of a transaction: how far each person's notification has got."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import httpx
from pydantic_core import from_json

Entry = Mapping[str, Any]
"""A person's notification as Novu writes it."""

CHANNELS = frozenset({"email", "sms", "push", "chat", "tool"})
"""Messages on these have left Novu once they are sent."""

IN_APP = "in_app"
WAITING = frozenset({"pending", "queued", "running", "delayed", "merged"})
"""Statuses of a job that may still be carried out."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the notifications that a look-up finds."""

    entries: Sequence[Entry]
    more: bool = False

    def is_of(self, transaction_id: str) -> bool:
        """Whether all of them are of that transaction."""
        return all(entry.get("transactionId") == transaction_id for entry in self.entries)


def page_of(response: httpx.Response) -> Page | None:
    """The page that an answer holds, whatever else is in it; None if it holds none."""
    try:
        body = from_json(response.content)
        entries = [
            {**entry, "transactionId": str(entry["transactionId"])} for entry in body["data"]
        ]
    except (ValueError, LookupError, TypeError):
        return None
    return Page(entries, bool(body.get("hasMore")))


@dataclass(frozen=True, slots=True)
class Reach:
    """
    How far the notification of one person has got.

    ``sent``: on a channel that nobody can take back. ``in_app``: into the inbox. ``waiting``: a
    step may still be carried out. ``cancelled``: one never will.
    """

    sent: bool
    in_app: bool
    waiting: bool
    cancelled: bool


def reach_of(entry: Entry) -> Reach:
    """Read from the jobs; where Novu tells none, all of its channels count as sent."""
    steps = {(job.get("type"), job.get("status")) for job in _objects(entry.get("jobs"))}
    if not steps:
        channels = cast("Sequence[object]", entry.get("channels") or ())
        others = [channel for channel in channels if channel != IN_APP]
        return Reach(bool(others) or not channels, IN_APP in channels, False, False)
    done = {kind for kind, status in steps if status == "completed"}
    statuses = {status for _, status in steps}
    return Reach(
        sent=not done.isdisjoint(CHANNELS),
        in_app=IN_APP in done,
        waiting=not statuses.isdisjoint(WAITING),
        cancelled="canceled" in statuses,
    )


def _objects(value: object) -> Iterable[Mapping[str, object]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return (cast("Mapping[str, object]", item) for item in items if isinstance(item, dict))
