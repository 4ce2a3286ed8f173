"""Things to test with, beside those of ``xnovu.testing``."""

from uuid import uuid4

from xnovu.testing.builders import ENTERPRISE, a_notification, captured
from xnovu.testing.contract.store_bench import recorded

__all__ = ["ENTERPRISE", "a_notification", "captured", "namespace", "recorded"]


def namespace() -> dict[str, str]:
    """Subjects and streams that nobody else has."""
    return {"prefix": f"t{uuid4().hex[:8]}"}
