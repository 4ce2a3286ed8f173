"""
The book of what was asked and what came of it, kept for every transaction.

A person is notified once for each fan-out that reaches him, however many channels it uses. The
book keeps numbers and names, never payloads, so that a million transactions fit into memory.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any


class Transaction:
    """
    What became of one transaction id.

    asked: triggers that named it, whatever the answer. accepted: those answered `processed`.
    dropped: accepted copies the worker threw away as duplicates. fan_outs: copies delivered.
    notified: persons notified, summed over all fan-outs. stages: how many of the workflow's have
    gone out. cancelled: at least one message was.
    """

    __slots__ = (
        "_heard", "accepted", "asked", "at", "cancelled", "dropped", "fan_outs", "notified",
        "recipients", "stages", "workflow",
    )  # fmt: skip

    def __init__(self) -> None:
        self.asked = 0
        self.accepted = 0
        self.dropped = 0
        self.fan_outs = 0
        self.notified = 0
        self.stages = 0
        self.cancelled = False
        self.at = 0.0
        self.workflow = ""
        self.recipients: tuple[str, ...] = ()
        self._heard: tuple[str, ...] | dict[str, int] = ()

    def hear(self, subscribers: tuple[str, ...]) -> bool:
        """Counts persons notified; True if any of them was so before."""
        self.notified += len(subscribers)
        if not self._heard:
            self._heard = subscribers
            return False
        heard = self.heard()
        again = not heard.keys().isdisjoint(subscribers)
        self._heard = heard | {name: heard.get(name, 0) + 1 for name in subscribers}
        return again

    def heard(self) -> dict[str, int]:
        """How often each person was notified."""
        heard = self._heard
        return dict.fromkeys(heard, 1) if isinstance(heard, tuple) else heard

    def shown(self, transaction: str) -> dict[str, Any]:
        return {
            "transactionId": transaction,
            "workflow": self.workflow,
            "asked": self.asked,
            "accepted": self.accepted,
            "dropped": self.dropped,
            "fanOuts": self.fan_outs,
            "notified": self.notified,
            "cancelled": self.cancelled,
            "subscribers": self.heard(),
        }


@dataclass(slots=True)
class Totals:
    """The sums over all transactions, kept as it goes."""

    asked: int = 0
    accepted: int = 0
    dropped: int = 0
    fan_outs: int = 0
    notified: int = 0
    cancelled: int = 0


class Ledger:
    """All transactions since the last reset."""

    __slots__ = ("_doubled", "_transactions", "look_ups", "totals")

    def __init__(self) -> None:
        self.totals = Totals()
        self.look_ups: Counter[str] = Counter()
        """How often each transaction was looked up, known or not, whatever the answer."""
        self._transactions: dict[str, Transaction] = {}
        self._doubled: dict[str, None] = {}

    def find(self, transaction: str) -> Transaction | None:
        return self._transactions.get(transaction)

    def asked(self, transactions: list[str]) -> None:
        self.totals.asked += len(transactions)
        for transaction in transactions:
            self._entry(transaction).asked += 1

    def accepted(self, transaction: str) -> None:
        self.totals.accepted += 1
        self._entry(transaction).accepted += 1

    def delivered(self, transaction: str) -> bool:
        """Whether the worker finds an earlier copy."""
        found = self._transactions.get(transaction)
        return found is not None and found.fan_outs > 0

    def dropped(self, transaction: str) -> None:
        self.totals.dropped += 1
        self._entry(transaction).dropped += 1

    def fanned_out(
        self, transaction: str, workflow: str, recipients: tuple[str, ...], at: float
    ) -> None:
        self.totals.fan_outs += 1
        entry = self._entry(transaction)
        entry.fan_outs += 1
        entry.workflow = workflow
        entry.at = entry.at or at
        known = entry.recipients
        entry.recipients = tuple(dict.fromkeys(known + recipients)) if known else recipients

    def went_out(self, transaction: str, stages: int) -> None:
        """So many stages of the workflow have gone out by now."""
        entry = self._entry(transaction)
        entry.stages = max(entry.stages, stages)

    def notified(self, transaction: str, subscribers: tuple[str, ...]) -> None:
        self.totals.notified += len(subscribers)
        if self._entry(transaction).hear(subscribers):
            self._doubled[transaction] = None

    def cancelled(self, transaction: str) -> None:
        entry = self._entry(transaction)
        self.totals.cancelled += not entry.cancelled
        entry.cancelled = True

    def doubled(self) -> list[str]:
        """The transactions of which any person was notified more than once."""
        return list(self._doubled)

    def shown_totals(self) -> dict[str, int]:
        totals = self.totals
        return {
            "transactions": len(self._transactions),
            "asked": totals.asked,
            "accepted": totals.accepted,
            "dropped": totals.dropped,
            "fanOuts": totals.fan_outs,
            "notified": totals.notified,
            "cancelled": totals.cancelled,
            "doubled": len(self._doubled),
            "lookUps": self.look_ups.total(),
        }

    def _entry(self, transaction: str) -> Transaction:
        entry = self._transactions.get(transaction)
        if entry is None:
            entry = self._transactions[transaction] = Transaction()
        return entry
