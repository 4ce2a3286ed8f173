"""
A job for all the stages: eight rows of two enterprises, and how each of them has to end.

1 and 2 are sent, 4 too, in two calls, and taken back later; Novu has taken 8 but does not say so
at first; 6 is taken back in the very moment in which Novu takes it, and 7 before it was due. 3 has
a workflow that nobody knows, 5 one that Novu refuses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from tests.integration.pipeline import ACME, GLOBEX
from xnovu.retraction import parts
from xnovu_local.novu import Fault, LocalNovu, Step, Workflow
from xnovu_local.novu.answers import Answer
from xnovu_local.novu.calls import Call

WELCOME, REFUSING, SLOW = "welcome", "refusing", "slow"
WORKFLOWS = (
    Workflow(WELCOME),
    Workflow(REFUSING, active=False),
    Workflow(SLOW, steps=(Step(delay=600),)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """
    A row and its way to its end.

    ``reason``: its error's code, or what came of its retraction. ``accepted``: whether Novu accepts
    it, ``notified``: whether its people hear of it. ``due``: from the beginning.
    """

    enterprise: UUID
    workflow: str
    way: tuple[str, ...]
    reason: str | None = None
    people: int = 1
    accepted: bool = True
    notified: bool = True
    due: bool = True

    @property
    def end(self) -> tuple[str, str | None]:
        return self.way[-1], self.reason

    @property
    def told(self) -> tuple[str, ...]:
        """Of what the world hears."""
        return tuple(status for status in self.way if status != "PROCESSING")

    @property
    def claims(self) -> int:
        """How often it is claimed: to be sent, and for its retraction."""
        return ("PROCESSING" in self.way) + ("RETRACTED" in self.way)

    def calls(self, number: int) -> Iterator[tuple[str, int]]:
        """What its calls are called here, and for how many people each is."""
        for part, (_, people) in enumerate(parts("", self.people)):
            yield f"{number}/{part}" if part else f"{number}", len(people)


SENT = ("PROCESSING", "SENT")
REFUSED: Any = {"way": ("PROCESSING", "FAILED"), "accepted": False, "notified": False}
ROWS = {
    1: Row(ACME, WELCOME, SENT),
    2: Row(GLOBEX, WELCOME, SENT),
    3: Row(ACME, "nobody-knows", reason="workflow_not_found", **REFUSED),
    4: Row(GLOBEX, WELCOME, (*SENT, "RETRACTED"), "cancelled", people=101),
    5: Row(ACME, REFUSING, reason="provider_refused", **REFUSED),
    6: Row(ACME, SLOW, ("PROCESSING", "RETRACTED"), "cancelled", notified=False),
    7: Row(ACME, WELCOME, ("RETRACTED",), "stopped", accepted=False, notified=False, due=False),
    8: Row(GLOBEX, WELCOME, SENT, due=False),
}
TAKEN_BACK_AT_ONCE, DOUBTFUL = 6, 8


@dataclass(frozen=True, slots=True)
class Wave:
    """What happens next, as a statement, and where rows stand once it is over."""

    begin: str
    ends: Mapping[int, tuple[str, str | None]]


WAVES = (
    Wave(
        "SELECT", {number: row.end for number, row in ROWS.items() if row.due} | {4: ("SENT", None)}
    ),
    Wave(
        "UPDATE notify.ent_notification SET notification_status = 'RETRACTED' WHERE id IN (4, 7)",
        {4: ROWS[4].end, 7: ROWS[7].end},
    ),
    Wave("UPDATE notify.ent_notification SET scheduled_for = now() WHERE id = 8", {8: ROWS[8].end}),
)
"""One after the other, so that nothing but the retraction of 6 happens beside anything else."""

REGISTER = """
INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id)
SELECT workflow, enterprise FROM unnest(%s::text[]) workflow, unnest(%s::uuid[]) enterprise
"""
INSERT = """
INSERT INTO notify.ent_notification
    (enterprise_id, notification_workflow_id, recipients, scheduled_for)
VALUES (%s, %s, %s, CASE WHEN %s THEN now() ELSE 'infinity' END) RETURNING id
"""
NAMES = """
SELECT id, notify.transaction_id(enterprise_id::text, id, 0)::text FROM notify.ent_notification
"""
RETRACT = """
UPDATE notify.ent_notification SET notification_status = 'RETRACTED'
WHERE id = %s AND notification_status <> 'RETRACTED'
"""


def lay_out(dsn: str) -> dict[str, str]:
    """Put the rows into a database; returns a name for each transaction id."""
    with psycopg.connect(dsn, autocommit=True) as database:
        database.execute(REGISTER, [[w.key for w in WORKFLOWS], [ACME, GLOBEX]])
        for number, row in ROWS.items():
            people = [UUID(int=1000 * number + n) for n in range(row.people)]
            given = [row.enterprise, row.workflow, people, row.due]
            assert database.execute(INSERT, given).fetchone() == (number,)
        return _calls(database.execute(NAMES).fetchall())


def _calls(names: list[Any]) -> dict[str, str]:
    return {
        call: name
        for number, transaction in names
        for (call, _), (name, _) in zip(
            parts(transaction, ROWS[number].people), ROWS[number].calls(number), strict=True
        )
    }


class Novu(LocalNovu):
    """A Novu that takes long to show what it has accepted; while it accepts 6, it is retracted."""

    def __init__(self, dsn: str, calls: dict[str, str], **options: Any) -> None:
        super().__init__(workflows=WORKFLOWS)
        self.change(**options)
        self._dsn = dsn
        self._transactions = {name: call for call, name in calls.items()}
        doubtful = self._transactions[str(DOUBTFUL)]
        self.script(Fault("502", endpoint="trigger", transaction=doubtful, accepted=True))

    def answer(self, call: Call) -> Answer:
        answer = super().answer(call)
        if call.idempotent and self._transactions[str(TAKEN_BACK_AT_ONCE)] in call.transactions():
            with psycopg.connect(self._dsn, autocommit=True) as database:
                database.execute(RETRACT, [TAKEN_BACK_AT_ONCE])
        return answer
