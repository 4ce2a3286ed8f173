"""What there is to say against an installation whose work is done: nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nats.js.api import RawStreamMsg

from tests.faults.sabotage.installation import Installation
from tests.faults.sabotage.job import ROWS
from xnovu.adapters.nats.arrival import MESSAGE_ID
from xnovu.envelope import key_of
from xnovu.events import StatusChanged

STANDING = """
SELECT id, notification_status::text AS status, generation, claims,
       enterprise_id::text AS enterprise,
       coalesce(retraction_outcome, error_details ->> 'code') AS reason
FROM notify.ent_notification
"""
TRAIL = """
SELECT notification_id, from_status, to_status FROM notify.ent_notification_audit ORDER BY id
"""

Standing = Mapping[int, Mapping[str, Any]]
Ends = Mapping[int, tuple[str, str | None]]


def standing(here: Installation) -> Standing:
    """Where each row stands."""
    return {row["id"]: row for row in here.database.execute(STANDING).fetchall()}


def unfinished(rows: Standing, ends: Ends) -> list[str]:
    """Which rows have not come to where they belong."""
    return [
        f"row {number} is {rows[number]['status']} ({rows[number]['reason']}), not {end}"
        for number, end in ends.items()
        if (rows[number]["status"], rows[number]["reason"]) != end
    ]


async def unsettled(here: Installation) -> list[str]:
    """Which mailboxes still have something to do."""
    return [
        f"{each.name} of {each.stream_name}: {each.num_pending} to do, {each.num_ack_pending} begun"
        for each in await here.consumers()
        if each.num_pending or each.num_ack_pending
    ]


async def complaints(here: Installation) -> list[str]:
    """Everything that is not as it has to be."""
    rows, messages = standing(here), await here.messages()
    return [
        *(f"never done: {deed}" for deed in here.left),
        *(f"a surprise: {line}" for line in here.surprises()),
        *unfinished(rows, {number: row.end for number, row in ROWS.items()}),
        *await unsettled(here),
        *_of_claims(here, rows),
        *_of_novu(here),
        *_of_trails(here),
        *(what for message in messages for what in _of_message(message, rows)),
        *_of_told(messages),
    ]


def _of_claims(here: Installation, rows: Standing) -> Iterator[str]:
    """Nothing is claimed again but what was in a dead claimer's hands, or of a lost answer."""
    again = here.stranded + here.unheard
    for number, row in ROWS.items():
        wanted = row.claims + again[number]
        if (claims := rows[number]["claims"]) != wanted:
            yield f"row {number} was claimed {claims} times, not {wanted}"


def _of_novu(here: Installation) -> Iterator[str]:
    """Each call is accepted exactly once, and nobody is notified twice, or for nothing."""
    ledger = here.novu.ledger
    names = {name: transaction for transaction, name in here.ground.calls.items()}
    yield from (f"{here.ground.calls.get(each)} was delivered twice" for each in ledger.doubled())
    accepted = 0
    for number, row in ROWS.items():
        for name, people in row.calls(number):
            entry = ledger.find(names[name])
            found = (entry.accepted, entry.notified) if entry else (0, 0)
            wanted = (int(row.accepted), people if row.notified else 0)
            accepted += row.accepted
            if found != wanted:
                yield f"call {name}: (accepted, notified) is {found}, not {wanted}"
    if ledger.totals.accepted != accepted:
        yield f"Novu has accepted {ledger.totals.accepted} calls, not {accepted}"


def _of_trails(here: Installation) -> Iterator[str]:
    """Each row has gone its way, and no other; claimed again is no other way."""
    ways = {number: ["PENDING"] for number in ROWS}
    for step in here.database.execute(TRAIL).fetchall():
        way = ways[step["notification_id"]]
        if step["from_status"] != way[-1]:
            yield f"row {step['notification_id']} came from {step['from_status']} after {way}"
        if step["to_status"] != way[-1]:
            way.append(step["to_status"])
    for number, row in ROWS.items():
        if ways[number] != ["PENDING", *row.way]:
            yield f"row {number} went by {ways[number]}"


def _of_message(message: RawStreamMsg, rows: Standing) -> Iterator[str]:
    """It is about a row that there is, of that enterprise, under a claim that there was."""
    headers, subject = message.headers or {}, message.subject or ""
    if subject.endswith(".paused"):  # no message, but why a mailbox is paused
        return
    key = key_of({"id": headers.get(MESSAGE_ID) or headers.get("id", "")})
    row = rows.get(key.notification_id) if key else None
    if not key or not row:
        yield f"nobody knows the message on {subject}: {headers}"
    elif key.enterprise_id != row["enterprise"] or key.enterprise_id not in subject.split("."):
        yield f"{key} is of another enterprise, on {subject}"
    elif key.generation != row["generation"] or key.claims > row["claims"]:
        yield f"{key} is about a claim that never was"


def _of_told(messages: Sequence[RawStreamMsg]) -> Iterator[str]:
    """Each end was told the world once."""
    ids = [(message.headers or {}).get(MESSAGE_ID, "") for message in messages]
    told = Counter(_told(each) for each in ids if each.startswith(f"{StatusChanged.kind}:"))
    for number, row in ROWS.items():
        for status in row.told:
            if (times := told.pop((number, status), 0)) != 1:
                yield f"{status} of row {number} was told {times} times"
    yield from (f"{status} of row {number} was told" for number, status in told)


def _told(message_id: str) -> tuple[int, str]:
    _, number, *_, status = message_id.split("/")
    return int(number), status
