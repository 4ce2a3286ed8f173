"""A notification's jobs, as the look-up tells them: a step each, and how far it has got."""

from collections.abc import Iterator
from typing import Any

from .ledger import Transaction
from .workflows import Workflow

Told = tuple[str, str]
"""A job's type and its status."""


def jobs(entry: Transaction, workflow: Workflow | None) -> list[dict[str, Any]]:
    """
    The jobs of one person's notification in Novu's form, without what a test cannot want.

    Of what still waits, the delay is ``delayed`` and the steps behind it are ``pending``.
    """
    return [_job(number, *told) for number, told in enumerate(_told(entry, workflow))]


def _told(entry: Transaction, workflow: Workflow | None) -> Iterator[Told]:
    yield "trigger", "completed"
    for number, stage in enumerate(workflow.stages if workflow else ()):
        waits, status = _status(entry, number)
        if stage.at:
            yield "delay", waits
        for channel in stage.channels:
            yield channel, status


def _status(entry: Transaction, number: int) -> Told:
    """The status of a stage's delay, and that of its messages."""
    if number < entry.stages:
        return "completed", "completed"
    if entry.cancelled:
        return "canceled", "canceled"
    return ("delayed" if number == entry.stages else "pending"), "pending"


def _job(number: int, kind: str, status: str) -> dict[str, Any]:
    name = f"{number:024d}"
    step: dict[str, Any] = {"_id": name, "active": True, "filters": [], "_templateId": name}
    return {
        "_id": name,
        "type": kind,
        "status": status,
        "providerId": "novu",
        "executionDetails": [],
        "step": step,
    }
