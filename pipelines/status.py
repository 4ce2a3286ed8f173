"""Status: tell the database how each notification ended, and the world that it did."""

from collections.abc import Sequence

from faststream import FastStream

from xnovu.compose import Kit, Part, serve
from xnovu.envelope import Envelope
from xnovu.errors import still_locked
from xnovu.events import Captured, Hydrated, Key, Locked, Rejected, StatusChanged, Triggered
from xnovu.policy import Done, Result
from xnovu.ports import Outcome, Store

Ended = Triggered | Rejected

LEADING = {"ingest": Captured.kind, "hydrate": Captured.kind, "trigger": Hydrated.kind}
"""The stages whose giving up ends a row, with the kind of event that each reads."""


class Record:
    """One statement for the whole batch; whatever the database already knows better stays."""

    name = "status"
    accepts = (Triggered, Rejected)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle(self, batch: Sequence[Envelope[Ended]]) -> Sequence[Result]:
        ended = [_outcome(envelope.event) for envelope in batch if _concerns_a_row(envelope.event)]
        recorded = await self._store.record(ended) if ended else ()
        known = {_row(each.key): each for each in recorded}
        return [_told(known.get(_row(envelope.event.key))) for envelope in batch]


def _concerns_a_row(event: Ended) -> bool:
    """
    Whether it says how the row has ended.

    Only the letter of a stage that leads to its being sent does, about what that stage reads. Any
    other is a letter, and no more: a consumer's, whatever it is called, or one that names no row.
    """
    match event:
        case Triggered():
            return True
        case Rejected(failure=failure, original_id=original, nameless=nameless):
            reads = LEADING.get(failure.stage)
            its_own = original is None or original.partition(":")[0] == reads
            return bool(reads and its_own and not nameless)


def _row(key: Key) -> Key:
    """Whichever claim of the row an outcome comes from, the change is the row's."""
    return key._replace(claims=0)


def _outcome(event: Ended) -> Outcome:
    match event:
        case Triggered():
            return Outcome(event.key)
        case Rejected(failure=failure):
            return Outcome(event.key, failure)


def _told(recorded: StatusChanged | Locked | None) -> Result:
    match recorded:
        case None:
            return Done()
        case Locked():
            return still_locked()
        case change:
            return Done.then(change)


async def build(kit: Kit) -> Record:
    return Record(await kit.store())


part = Part(Record.name, Record.accepts, build, own=True)


def app() -> FastStream:
    return serve(part)
