"""The transport's functions of schema ``notify``, and what they say, as the port has it."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from xnovu.envelope import Address, Envelope
from xnovu.events import Event, Rejected
from xnovu.policy import Fate, Retry
from xnovu.ports import Backlog, Delivery, Start
from xnovu.sql.functions import Functions


@dataclass(frozen=True, slots=True)
class Message:
    """One that is to be published, as the function takes it, and the bytes of its body."""

    line: dict[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class Taken:
    """In hand. ``vanished`` of its attempts so far had workers that were never heard of again."""

    message: int
    delivery: Delivery
    vanished: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """Something may come in ``wait`` seconds (None: nobody knows); ``missing``: no mailbox."""

    wait: float | None
    missing: bool


@dataclass(frozen=True, slots=True)
class State:
    """A mailbox: what it reads and holds, how many seconds more it is paused, and why."""

    name: str
    kinds: tuple[str, ...]
    backlog: Backlog
    is_read: bool
    paused: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Calls:
    """Each raises as ``Functions`` does: Paused while the database is away."""

    functions: Functions

    async def open(self, mailbox: str, kinds: Sequence[str], start: Start = "all") -> None:
        match start:
            case "all":
                since = "-infinity"
            case "now":
                since = "infinity"
            case _:
                since = start.isoformat()
        await self.functions.call("open_mailbox", mailbox=mailbox, kinds=list(kinds), since=since)

    async def publish(self, messages: Sequence[Message]) -> None:
        await self.functions.call("publish_messages", messages=[each.line for each in messages])

    async def take(
        self, mailbox: str, token: str, most: int, lease: float
    ) -> Sequence[Taken] | Nothing:
        given = {"mailbox": mailbox, "token": token, "most": most, "lease_seconds": lease}
        found = await self.functions.call("take_messages", **given)
        if found and found[0]["message"] is None:
            return Nothing(found[0]["wait"], found[0]["missing"])
        return [_taken(line) for line in found]

    async def keep(self, mailbox: str, tokens: Iterable[str], lease: float) -> None:
        given = {"mailbox": mailbox, "tokens": list(tokens), "lease_seconds": lease}
        await self.functions.call("keep_messages", **given)

    async def settle(
        self, mailbox: str, token: str, taken: Sequence[Taken], fates: Sequence[Fate]
    ) -> None:
        told = [_fate(one, fate) for one, fate in zip(taken, fates, strict=True)]
        await self.functions.call("settle_messages", mailbox=mailbox, token=token, fates=told)

    async def pause(self, mailbox: str, seconds: float | None, reason: str | None = None) -> bool:
        """Whether there is such a mailbox."""
        given = {"mailbox": mailbox, "seconds": seconds, "reason": reason}
        [there] = await self.functions.call("pause_mailbox", **given)
        return there

    async def states(self, names: Sequence[str] | None) -> Sequence[State]:
        asked = None if names is None else list(names)
        return [_state(line) for line in await self.functions.call("mailboxes", names=asked)]

    async def tidy(self, older: float, most: int = 5000) -> int:
        """Forget all that is older than so many seconds, ``most`` at once; says how many."""
        gone = 0
        while part := sum(
            await self.functions.call("tidy_messages", older_seconds=older, most=most)
        ):
            gone += part
        return gone


def message_of(envelope: Envelope[Event]) -> Message:
    """An envelope as it is published."""
    event, (headers, body) = envelope.event, envelope.encode()
    line = {
        "kind": event.kind,
        "enterprise_id": event.enterprise_id,
        "stage": event.failure.stage if isinstance(event, Rejected) else None,
        "id": envelope.id,
        "headers": to_json(headers).decode(),
        "body": b64encode(body).decode(),
    }
    return Message(line, len(body))


def _taken(line: dict[str, Any]) -> Taken:
    address = Address(line["enterprise_id"], line["kind"], line["stage"])
    headers, body = from_json(line["headers"]), b64decode(line["body"])
    delivery = Delivery(headers, body, line["attempt"], address)
    return Taken(line["message"], delivery, line["vanished"])


def _fate(taken: Taken, fate: Fate) -> dict[str, Any]:
    if isinstance(fate, Retry):
        return {"message": taken.message, "after": max(fate.after, 0.0), "spent": fate.spent}
    return {"message": taken.message}


def _state(line: dict[str, Any]) -> State:
    kinds = line["kinds"]
    return State(
        line["name"],
        tuple(from_json(kinds) if isinstance(kinds, bytes) else kinds),
        Backlog(line["unsettled"], line["queued"]),
        line["is_read"],
        line["paused"],
        line["reason"] or "nobody says why",
    )
