"""Consumers of one's own: which there are, and how one that is gone is taken away."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from nats.aio.client import Client
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from xnovu.adapters.nats.archive import PATIENCE
from xnovu.adapters.nats.client import jetstream_of
from xnovu.adapters.nats.consumer import unsettled
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    ADVISORIES,
    ADVISORY,
    FORMER,
    OURS,
    Mailbox,
    are_retries,
    kinds_of,
    mailbox_of,
    retries_of,
    stream_name,
)
from xnovu.archive import Found, require_removable

PAGE = 256
"""Consumers that the server tells of at once."""


class StreamMailboxes:
    """Those of one installation, over a visit's connection."""

    def __init__(self, client: Client, options: NatsOptions) -> None:
        self._jetstream = jetstream_of(client, PATIENCE)
        self._prefix = options.prefix

    async def all(self) -> Sequence[Found]:
        """Every mailbox of the pipeline and of consumers, by name."""
        kinds: dict[str, list[tuple[str, ConsumerInfo]]] = {}
        for kind, info in await self._infos():
            if info.config.description == OURS:
                kinds.setdefault(mailbox_of(info.name), []).append((kind, info))
        return [_found(name, kinds[name]) for name in sorted(kinds)]

    async def left_by(self, name: str) -> int:
        return require_removable(name, await self.all()).unsettled

    async def remove(self, name: str) -> None:
        """Take a consumer away, with the copies that wait for it."""
        with suppress(NotFoundError):
            await self._jetstream.delete_stream(stream_name(self._prefix, retries_of(name)))
        for kind, info in await self._infos():
            if mailbox_of(info.name) == name:
                await self._jetstream.delete_consumer(stream_name(self._prefix, kind), info.name)

    async def displaced(self, boxes: Iterable[Mailbox]) -> list[str]:
        """Take away what these mailboxes have on streams that they read no more; names each."""
        wanted = {(box.name, box.kind) for box in boxes}
        names = {name for name, _ in wanted}
        gone = [
            (stream_name(self._prefix, kind), info.name)
            for kind, info in await self._infos()
            if info.config.description == OURS
            and mailbox_of(info.name) in names
            and (mailbox_of(info.name), kind) not in wanted
        ]
        for stream, durable in gone:
            await self._jetstream.delete_consumer(stream, durable)
        return [f"consumer {durable} of stream {stream}" for stream, durable in gone]

    async def _infos(self) -> list[tuple[str, ConsumerInfo]]:
        """Each consumer, and the kind of its stream."""
        found = [(kind, info) for kind in await self._kinds() for info in await self._of(kind)]
        names = {mailbox_of(info.name): None for _, info in found}
        copies = map(retries_of, names)
        return [*found, *[(kind, info) for kind in copies for info in await self._of(kind)]]

    async def _kinds(self) -> Iterable[str]:
        """All that mailboxes read, or have: ADVISORY gives up none of which it ever heard."""
        known = dict.fromkeys(kinds_of([]))
        with suppress(NotFoundError):
            name = stream_name(self._prefix, ADVISORY)
            heard = (await self._jetstream.stream_info(name)).config.subjects or ()
            start = f"{ADVISORIES}.{stream_name(self._prefix, '')}"
            told = [each.removeprefix(start) for each in heard if each.startswith(start)]
            known |= dict.fromkeys(each.removesuffix(".>").lower() for each in told)
        known.pop(FORMER, None)  # who is of 0.1 still reads it
        return known

    async def _of(self, kind: str) -> list[ConsumerInfo]:
        found: list[ConsumerInfo] = []
        stream = stream_name(self._prefix, kind)
        try:
            while page := await self._jetstream.consumers_info(stream, offset=len(found)):
                found += page
                if len(page) < PAGE:
                    break
        except NotFoundError:  # no such stream: nobody reads it
            pass
        return found


def _found(name: str, parts: Sequence[tuple[str, ConsumerInfo]]) -> Found:
    read = [kind for kind, _ in parts if kind != ADVISORY and not are_retries(kind)]
    kinds = tuple(dict.fromkeys(read))
    left = sum(unsettled(info) for _, info in parts)
    running = any(info.num_waiting or info.push_bound for _, info in parts)
    return Found(name, kinds, left, running)
