"""The ledger: what became of every row, compared with what Novu says it did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from bench.chaos.people import MANY
from xnovu.local.novu import LocalNovu

ROWS = """
SELECT id, notification_status::text, coalesce(error_details ->> 'code', ''), transaction_id,
       generation, enterprise_id::text
FROM notify.ent_notification
"""
OPEN = """
SELECT count(*) FROM notify.ent_notification
WHERE notification_status IN ('PENDING', 'PROCESSING')
   OR notification_status = 'FAILED' AND notification_workflow_id = 'later'
"""
PARTS = -(-MANY // 100)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was wrong: nothing may be."""

    lost: list[str]
    doubled: list[str]
    stuck: list[str]
    wrong: list[str]
    repeats: int
    """Transactions that Novu was asked to accept more than once, and dropped itself."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.wrong)


def ledger(rows: list[tuple[Any, ...]], wanted: Mapping[int, str], novu: LocalNovu) -> Ledger:
    """Compare the table with Novu's own book."""
    book = Ledger([], list(novu.ledger.doubled()), [], [], 0)
    known: set[str] = set()
    repeats = 0
    for number, status, code, name, _, _ in rows:
        what = f"row {number} ({wanted.get(number, 'unknown')}): {status} {code}".strip()
        parts = _parts(name, wanted.get(number) == "many")
        known.update(parts)
        found = [novu.ledger.find(part) for part in parts]
        accepted = [entry.accepted if entry else 0 for entry in found]
        repeats += sum(count > 1 for count in accepted)
        match status:
            case "SENT" if not all(accepted):
                book.lost.append(what)
            case "FAILED" if any(accepted) or (wanted.get(number), code) != ("expiring", "expired"):
                book.wrong.append(f"{what}, accepted {accepted}")
            case "PENDING" | "PROCESSING":
                book.stuck.append(what)
            case "RETRACTED" if wanted.get(number) != "retracted":
                book.wrong.append(what)
            case _:
                pass
    missing = wanted.keys() - {row[0] for row in rows}
    book.lost.extend(f"row {number} is gone" for number in sorted(missing))
    return Ledger(book.lost, book.doubled, book.stuck, book.wrong, repeats)


def _parts(name: str | None, many: bool) -> list[str]:
    """The transaction ids of a row, as the trigger stage makes them."""
    if not name:
        return []
    more = range(1, PARTS) if many else ()
    return [name, *(str(uuid5(NAMESPACE_OID, f"{name}/{part}")) for part in more)]
