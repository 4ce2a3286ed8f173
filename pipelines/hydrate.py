"""Hydrate: from the fact that a row was claimed to everything needed to send it, checked."""

from collections.abc import Sequence

from faststream import FastStream

from xnovu.compose import Kit, Part, serve
from xnovu.envelope import Envelope
from xnovu.errors import Permanent
from xnovu.events import Captured, Hydrated, Workflow
from xnovu.payloads import PayloadChecker
from xnovu.policy import Done, Result
from xnovu.ports import Row, Store

SUBSCRIBER_ID_LENGTH = 255
"""Characters at the most in a recipient, which is a subscriber id at Novu."""


class Hydrate:
    """One query for the whole batch; every fault it finds is permanent and says what is wrong."""

    name = "hydrate"
    accepts = (Captured,)

    def __init__(self, store: Store) -> None:
        self._store = store
        self._payloads = PayloadChecker()

    async def handle(self, batch: Sequence[Envelope[Captured]]) -> Sequence[Result]:
        rows = await self._store.load([envelope.event.key for envelope in batch])
        return [self._complete(envelope.event, rows.get(envelope.event.key)) for envelope in batch]

    def _complete(self, event: Captured, row: Row | Permanent | None) -> Result:
        try:
            row = self._checked(row)
        except Permanent as error:
            return error
        return Done.then(
            Hydrated(
                notification_id=event.notification_id,
                enterprise_id=event.enterprise_id,
                generation=event.generation,
                claims=event.claims,
                notification=row.notification,
            )
        )

    def _checked(self, row: Row | Permanent | None) -> Row:
        if isinstance(row, Permanent):
            raise row
        if row is None:
            raise Permanent("the row is gone from notify.ent_notification", code="row_gone")
        workflow = _active(row)
        _check_recipients(row.notification.recipients)
        self._payloads.check(workflow, row.notification.payload)
        return row


def _active(row: Row) -> Workflow:
    key = row.notification.workflow_key
    if row.workflow is None:
        raise Permanent(
            f"workflow {key!r} is not registered for this enterprise in "
            "notify.ent_notification_workflow",
            code="workflow_not_found",
        )
    if row.workflow.deactivated:
        raise Permanent(f"workflow {key!r} is deactivated", code="workflow_deactivated")
    return row.workflow


def _check_recipients(recipients: Sequence[str]) -> None:
    """Recipients are people: an error says which place in the list is wrong, never who."""
    if not recipients:
        raise Permanent("recipients is empty", code="recipients_invalid")
    violations = [
        *(f"/{n}: not a subscriber id" for n, r in enumerate(recipients) if not _well_formed(r)),
        *_repeated(recipients),
    ]
    if violations:
        raise Permanent(
            f"recipients: {'; '.join(violations[:20])}",
            code="recipients_invalid",
            violations=violations,
        )


def _well_formed(recipient: str) -> bool:
    return (
        0 < len(recipient) <= SUBSCRIBER_ID_LENGTH
        and recipient.isprintable()
        and (not any(map(str.isspace, recipient)))
    )


def _repeated(recipients: Sequence[str]) -> list[str]:
    if len(set(recipients)) == len(recipients):
        return []
    first: dict[str, int] = {}
    return [
        f"/{n}: the same as /{first[recipient]}"
        for n, recipient in enumerate(recipients)
        if first.setdefault(recipient, n) != n
    ]


async def build(kit: Kit) -> Hydrate:
    return Hydrate(await kit.store())


part = Part(Hydrate.name, Hydrate.accepts, build)


def app() -> FastStream:
    return serve(part)
