"""The look-up of notifications: what the worker has made of a transaction so far."""

from collections.abc import Iterator
from hashlib import blake2s
from typing import Any

from .answers import Answer, Problem, as_json, timestamp
from .calls import Call
from .inbox import Inbox
from .jobs import jobs
from .ledger import Ledger, Transaction
from .workflows import Workflows

CHANNELS = ("in_app", "email", "sms", "chat", "push")
PAGE = 10
MAX_PAGE = 50


def history(ledger: Ledger, workflows: Workflows, inbox: Inbox, call: Call, now: float) -> Answer:
    """
    A page of notifications, one for each person and fan-out; the asked transactions only.

    Without a transaction id it is what the page still remembers, the newest first.
    """
    try:
        page = _number(call, "page", 0)
        size = min(_number(call, "limit", PAGE), MAX_PAGE)
    except (ValueError, OverflowError):
        return Problem(400, "page and limit must be numbers of 0 or more").answer(call.path, now)
    asked = call.transactions() or _recent(inbox)
    entries = list(_entries(ledger, workflows, asked))
    body = {
        "page": page,
        "pageSize": size,
        "hasMore": len(entries) > (page + 1) * size,
        "data": entries[page * size : (page + 1) * size],
    }
    return as_json(body)


def _number(call: Call, name: str, default: int) -> int:
    value = int(float(next(iter(call.query.get(name, [])), default)))  # the SDK sends 0.0
    if value < 0:
        raise ValueError(name)
    return value


def _recent(inbox: Inbox) -> list[str]:
    return list(dict.fromkeys(one.transaction for one in inbox.latest(1000)))


def _entries(
    ledger: Ledger, workflows: Workflows, transactions: list[str]
) -> Iterator[dict[str, Any]]:
    for transaction in transactions:
        entry = ledger.find(transaction)
        if entry is None:
            continue
        for copy in range(entry.fan_outs):
            for subscriber in entry.recipients:
                yield _notification(workflows, transaction, entry, subscriber, copy)


def _notification(
    workflows: Workflows, transaction: str, entry: Transaction, subscriber: str, copy: int
) -> dict[str, Any]:
    workflow = workflows.find(entry.workflow)
    moment = timestamp(entry.at)
    template = _identifier("workflow", entry.workflow)
    person = _identifier("subscriber", subscriber)
    return {
        "_id": _identifier(transaction, subscriber, str(copy)),
        "_environmentId": _identifier("environment"),
        "_organizationId": _identifier("organization"),
        "_subscriberId": person,
        "_templateId": template,
        "transactionId": transaction,
        "createdAt": moment,
        "updatedAt": moment,
        "channels": list(workflow.channels) if workflow else [],
        "jobs": jobs(entry, workflow),
        "subscriber": {"_id": person, "subscriberId": subscriber},
        "template": {
            "_id": template,
            "name": entry.workflow,
            "triggers": [{"type": "event", "identifier": entry.workflow, "variables": []}],
        },
    }


def _identifier(*parts: str) -> str:
    """A stable id of the form Novu's have, 24 hexadecimal digits."""
    return blake2s("\0".join(parts).encode(errors="surrogatepass"), digest_size=12).hexdigest()
