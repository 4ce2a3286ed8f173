"""Hydrate: from the fact that a row was claimed to everything needed to send it, checked."""

import asyncio
import time
from collections.abc import Sequence

from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.envelope import Envelope
from xnovu.errors import Permanent, XNovuError
from xnovu.events import Captured, Hydrated, Workflow
from xnovu.payloads import Check, PayloadChecker, RowOptions, check_bounds
from xnovu.policy import Done, Result
from xnovu.store import Row, Store
from xnovu.together import group

Found = Check | Permanent | None
"""What is to be checked yet, or what is wrong; None: nothing."""

BREATH = 0.01
"""Seconds of work on a batch after which others have their turn."""

GONE = Permanent("the row is gone from notify.ent_notification", code="row_gone")

SUBSCRIBER_ID_LENGTH = 255
"""Characters at the most in a recipient, which is a subscriber id at Novu."""


class Hydrate:
    """One query for the whole batch; every fault it finds is permanent and says what is wrong."""

    name = "hydrate"
    accepts = (Captured,)

    def __init__(
        self,
        store: Store,
        bounds: RowOptions = RowOptions(),  # noqa: B008 - frozen
        within: float = 10.0,
    ) -> None:
        """``within`` is how many seconds a batch waits for checks that processes make."""
        self._store, self._bounds, self._within = store, bounds, within
        self._payloads = PayloadChecker(bounds)

    async def close(self) -> None:
        """End the processes that check payloads."""
        await self._payloads.close()

    async def handle(self, batch: Sequence[Envelope[Captured]]) -> Sequence[Result]:
        until = asyncio.get_running_loop().time() + self._within
        keys = [envelope.event.key for envelope in batch]
        rows = await self._store.load(keys, self._bounds.max_bytes)
        found = await self._looked_at([rows.get(envelope.event.key) for envelope in batch])
        errors = await self._all_finished(found, until)
        return [
            _result(envelope.event, rows.get(envelope.event.key), error)
            for envelope, error in zip(batch, errors, strict=True)
        ]

    async def _looked_at(self, rows: Sequence[Row | Permanent | None]) -> list[Found]:
        """What is known of each at once; others have their turn meanwhile."""
        found: list[Found] = []
        rest = time.perf_counter() + BREATH
        for row in rows:
            found.append(self._begun(row))
            if time.perf_counter() > rest:
                await asyncio.sleep(0)
                rest = time.perf_counter() + BREATH
        return found

    def _begun(self, row: Row | Permanent | None) -> Found:
        if isinstance(row, Permanent):
            return row
        try:
            if row is None:
                return GONE
            workflow, notification = _active(row), row.notification
            payload = check_bounds(notification, self._bounds)
            _check_recipients(notification.recipients)
            _check_restrictions(row)
            return self._payloads.begin(workflow, notification.payload, payload)
        except Permanent as error:
            return error

    async def _all_finished(
        self, found: Sequence[Found], until: float
    ) -> Sequence[XNovuError | None]:
        async with group() as checks:
            tasks = [
                checks.create_task(self._finished(each, until)) if isinstance(each, Check) else each
                for each in found
            ]
        return [task.result() if isinstance(task, asyncio.Task) else task for task in tasks]

    async def _finished(self, check: Check, until: float) -> XNovuError | None:
        try:
            await self._payloads.finish(check, until)
        except XNovuError as error:
            return error
        return None


def _result(event: Captured, row: Row | Permanent | None, error: XNovuError | None) -> Result:
    if error or not isinstance(row, Row):
        return error or GONE
    return Done.then(Hydrated(**event.key._asdict(), notification=row.notification))


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


def _check_restrictions(row: Row) -> None:
    """What the row's enterprise may not do, whatever its users write."""
    prefix, allowed = row.recipient_prefix, row.overrides_allowed
    recipients = row.notification.recipients
    if prefix and (strangers := [n for n, r in enumerate(recipients) if not r.startswith(prefix)]):
        raise Permanent(
            "recipients that do not begin with its enterprise's recipient_prefix:"
            f" {', '.join(f'/{n}' for n in strangers[:20])}",
            code="forbidden_recipient",
        )
    if allowed is not None and set(row.notification.overrides or ()) - set(allowed):
        raise Permanent(
            f"overrides may have no other keys than {', '.join(allowed) or 'none'} here",
            code="forbidden_override",
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
    within = kit.settings.policy(Hydrate.name).timeout / 3
    hydrate = Hydrate(await kit.store(), kit.settings.rows, within)
    kit.stack.push_async_callback(hydrate.close)
    return hydrate


part = Part(Hydrate.name, Hydrate.accepts, build, own=True, emits=(Hydrated,))
