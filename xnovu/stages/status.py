"""Status: tell the database how each notification ended, and the world that it did."""

import re
from collections.abc import Mapping, Sequence

from xnovu import events
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.compose.pipeline import Pipeline
from xnovu.envelope import Envelope
from xnovu.errors import Permanent, still_locked
from xnovu.events import (
    UNCONFIRMED,
    Failure,
    Key,
    Locked,
    Recorded,
    Rejected,
    Triggered,
    Unconfirmed,
)
from xnovu.policy import Done, Result
from xnovu.redaction import redact
from xnovu.store import Outcome, Store

Ended = Triggered | Rejected

UNSENT = Permanent(
    "it is said to be sent, and no send record says that anybody began to", code=UNCONFIRMED
)
CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
MOST = 20
"""Violations of one failure that are written to its row."""


class Record:
    """One statement for the whole batch; whatever the database already knows better stays."""

    name = "status"
    accepts = (Triggered, Rejected)

    def __init__(self, store: Store, leading: Mapping[str, str] = Pipeline().leading) -> None:
        """``leading`` are the stages whose giving up ends a row, with what each reads."""
        self._store, self._leading = store, leading

    async def handle(self, batch: Sequence[Envelope[Ended]]) -> Sequence[Result]:
        concerning = (each.event for each in batch if self._concerns_a_row(each.event))
        ended = [_outcome(event) for event in concerning]
        recorded = await self._store.record(ended) if ended else ()
        known = {_row(each.key): each for each in recorded}
        return [_told(known.get(_row(envelope.event.key))) for envelope in batch]

    def _concerns_a_row(self, event: Ended) -> bool:
        """
        Whether it says how the row has ended.

        Only the letter of a stage that leads to its being sent does, about what that stage reads of
        that row. Any other is a letter, and no more: a consumer's, whatever it is called, one that
        names no row, or one about what its row does not confirm.
        """
        match event:
            case Triggered():
                return True
            case Rejected(nameless=True) | Rejected(failure=Failure(code=events.UNCONFIRMED)):
                return False
            case Rejected(failure=failure, original_id=original):
                reads = self._leading.get(failure.stage)
                return bool(reads) and original in (None, f"{reads}:{event.key}")


def _row(key: Key) -> Key:
    """Whichever claim of the row an outcome comes from, the change is the row's."""
    return key._replace(claims=0)


def _outcome(event: Ended) -> Outcome:
    match event:
        case Triggered():
            return Outcome(event.key)
        case Rejected(failure=failure):
            return Outcome(event.key, _fit_to_write(failure))


def _fit_to_write(failure: Failure) -> Failure:
    """Whoever wrote it: short, and without what looks private."""
    known = CODE.fullmatch(failure.code)
    violations = tuple(redact(each) for each in failure.violations[:MOST])
    return failure.model_copy(
        update={
            "code": failure.code if known else "unknown",
            "message": redact(failure.message),
            "violations": violations,
        }
    )


def _told(recorded: Recorded | None) -> Result:
    match recorded:
        case None:
            return Done()
        case Unconfirmed():
            return UNSENT
        case Locked():
            return still_locked()
        case change:
            return Done.then(change)


async def build(kit: Kit) -> Record:
    return Record(await kit.store(), kit.settings.pipeline.leading)


part = Part(Record.name, Record.accepts, build, own=True, emits=(events.StatusChanged,))
