"""Things to test with, beside those of ``xnovu.testing``."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from xnovu.ports import Outcome, Store
from xnovu.sending import SendTimes
from xnovu.testing.builders import ENTERPRISE, a_notification, captured

__all__ = ["ENTERPRISE", "a_notification", "captured", "namespace", "recorded"]


def namespace() -> dict[str, str]:
    """Subjects and streams that nobody else has."""
    return {"prefix": f"t{uuid4().hex[:8]}"}


async def recorded(store: Store, outcomes: Sequence[Outcome]) -> Sequence[Any]:
    """What the store says of outcomes, where what is SENT was begun, as it is by those who send."""
    if sent := [outcome.key for outcome in outcomes if not outcome.failure]:
        await store.begin_send(sent, SendTimes())
    return await store.record(outcomes)
