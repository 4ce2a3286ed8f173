"""Who sends what in the demo, and how each of it has to end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg

from xnovu.events import Status

ENTERPRISES = ("Acme", "Globex", "Hooli", "Initech", "Stark", "Umbrella")
BURSTS = 12
"""The rows come in so many bursts, so that latency is not that of one long queue."""

SEED = 1

AHEAD = timedelta(seconds=5)
RECIPIENTS_OF_MANY = 250

SCHEMA = {
    "type": "object",
    "required": ["order", "total"],
    "properties": {"order": {"type": "string"}, "total": {"type": "number", "minimum": 0}},
}
ORDER = {"order": "A-1001", "total": 42.5}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of notification: its row, how many of 1,000 are of it, and its right end."""

    name: str
    share: int
    ends: Status
    code: str = ""
    workflow: str = "order-shipped"
    payload: tuple[tuple[str, Any], ...] = tuple(ORDER.items())
    recipients: int = 1
    ahead: timedelta | None = None


CASES = (
    Case("good", 938, Status.SENT),
    Case("to many people", 2, Status.SENT, recipients=RECIPIENTS_OF_MANY),
    Case("scheduled", 20, Status.SENT, ahead=AHEAD),
    Case("unknown workflow", 10, Status.FAILED, "workflow_not_found", workflow="no-such-workflow"),
    Case("broken payload", 10, Status.FAILED, "payload_invalid", payload=(("total", -1),)),
    Case("no recipients", 10, Status.FAILED, "recipients_invalid", recipients=0),
    Case("refused by Novu", 10, Status.FAILED, "provider_refused", workflow="switched-off"),
)


def enterprise_id(name: str) -> UUID:
    """The same id in every run."""
    return uuid5(NAMESPACE_URL, f"https://{name.lower()}.example")


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many rows, spread over the enterprises and the cases."""

    rows: int

    def register(self, database: psycopg.Connection[Any]) -> None:
        """Register every enterprise's workflows with the platform."""
        statement = sql("register")
        for name in ENTERPRISES:
            database.execute(
                statement, {"enterprise": enterprise_id(name), "schema": json.dumps(SCHEMA)}
            )

    def cases(self) -> Iterator[tuple[str, Case]]:
        """Each row's enterprise and case, in the order of insertion."""
        chance = Random(SEED)  # noqa: S311 - a mixture, not a secret
        shares = [case.share for case in CASES]
        for case in chance.choices(CASES, shares, k=self.rows):
            yield chance.choice(ENTERPRISES), case

    def expected(self) -> dict[tuple[str, str], int]:
        """How many rows there are of each enterprise and case."""
        counts: dict[tuple[str, str], int] = {}
        for name, case in self.cases():
            counts[name, case.name] = counts.get((name, case.name), 0) + 1
        return counts

    def bursts(self) -> Iterator[list[tuple[Any, ...]]]:
        """The rows to insert, burst by burst."""
        cases = list(self.cases())
        size = -(-len(cases) // BURSTS)
        for at in range(0, len(cases), size):
            burst = enumerate(cases[at : at + size], at)
            yield [_row(n, name, case) for n, (name, case) in burst]


def _row(n: int, name: str, case: Case) -> tuple[Any, ...]:
    enterprise = enterprise_id(name)
    return (
        case.name,
        enterprise,
        case.workflow,
        json.dumps(dict(case.payload)),
        [uuid5(enterprise, f"subscriber {n + m}") for m in range(case.recipients)],
        datetime.now(UTC) + case.ahead if case.ahead else None,
    )


def sql(name: str) -> bytes:
    """One of the demo's statements."""
    return files("xnovu.cli.demo").joinpath(f"{name}.sql").read_bytes()
