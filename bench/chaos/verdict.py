"""The ledger: what became of every row, compared with what Novu says it did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from bench.chaos.people import MANY
from xnovu_local.novu import LocalNovu

ROWS = """
SELECT id, notification_status::text, coalesce(error_details ->> 'code', ''), transaction_id,
       retraction_outcome, name
FROM notify.ent_notification
"""
OPEN = """
SELECT count(*) FROM notify.ent_notification
WHERE notification_status IN ('PENDING', 'PROCESSING')
   OR notification_status = 'FAILED' AND notification_workflow_id = 'later'
   OR notification_status = 'RETRACTED' AND retraction_outcome IS NULL
"""
FAILURES = {("expiring", "expired"), ("bad", "invalid_row")}
PARTS = -(-MANY // 100)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was wrong: nothing may be."""

    lost: list[str]
    doubled: list[str]
    stuck: list[str]
    wrong: list[str]
    repeats: list[int] = field(default_factory=list[int])
    """Of transactions that Novu accepted more than once: how often. It drops the repeats itself."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.wrong)


def ledger(rows: list[tuple[Any, ...]], wanted: Mapping[int, str], novu: LocalNovu) -> Ledger:
    """Compare the table with Novu's own book."""
    book = Ledger([], list(novu.ledger.doubled()), [], [])
    for row in rows:
        *found, name = row  # which says it, too, where the answer to an insert was lost
        _enter(book, found, wanted.get(row[0], name), novu)
    missing = wanted.keys() - {row[0] for row in rows}
    book.lost.extend(f"row {number} is gone" for number in sorted(missing))
    return book


def _enter(book: Ledger, row: Sequence[Any], wanted: str, novu: LocalNovu) -> None:
    number, status, code, name, outcome = row
    entries = [novu.ledger.find(part) for part in _parts(name, wanted == "many")]
    accepted = [entry.accepted if entry else 0 for entry in entries]
    book.repeats.extend(count for count in accepted if count > 1)
    what = f"row {number} ({wanted}): {status} {code or outcome or ''}, accepted {accepted}"
    match status:
        case "SENT":
            wrong = [] if all(accepted) and wanted != "bad" else book.lost
        case "FAILED":
            wrong = book.wrong if any(accepted) or (wanted, code) not in FAILURES else []
        case "RETRACTED" if outcome:
            right = wanted == "retracted" and (outcome == "stopped") != any(accepted)
            wrong = [] if right else book.wrong
        case _:
            wrong = book.stuck
    wrong.append(what)


def _parts(name: str | None, many: bool) -> list[str]:
    """The transaction ids of a row, as the trigger stage makes them."""
    if not name:
        return []
    more = range(1, PARTS) if many else ()
    return [name, *(str(uuid5(NAMESPACE_OID, f"{name}/{part}")) for part in more)]
