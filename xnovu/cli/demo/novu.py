"""The local Novu's side of the demo: its workflows, and its book."""

from typing import Any

import httpx

WORKFLOWS: list[dict[str, Any]] = [
    {"key": "order-shipped", "steps": [{"channel": "in_app"}, {"channel": "email"}]},
    {"key": "switched-off", "active": False},
]


def register(url: str) -> None:
    """Have the local Novu know just these workflows."""
    httpx.put(f"{url}/_local/workflows", json=WORKFLOWS, trust_env=False).raise_for_status()


def ledger(url: str) -> dict[str, Any]:
    """How often Novu was asked, and who was notified how often."""
    answer = httpx.get(f"{url}/_local/ledger", trust_env=False, timeout=10)
    return answer.raise_for_status().json()
