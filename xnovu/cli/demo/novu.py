"""The local Novu's side of the demo: its workflows, and its book."""

import json
import urllib.request
from typing import Any

WORKFLOWS: list[dict[str, Any]] = [
    {"key": "order-shipped", "steps": [{"channel": "in_app"}, {"channel": "email"}]},
    {"key": "switched-off", "active": False},
]


def register(url: str) -> None:
    """Have the local Novu know just these workflows."""
    _ask(f"{url}/_local/workflows", "PUT", WORKFLOWS)


def ledger(url: str) -> dict[str, Any]:
    """How often Novu was asked, and who was notified how often."""
    return _ask(f"{url}/_local/ledger", "GET")


def _ask(url: str, method: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own URL
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own URL
        text = answer.read()
    return json.loads(text) if text else None
