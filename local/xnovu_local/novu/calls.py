"""A call to the event API, as it arrived."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from .triggers import events_in

Endpoint = Literal["trigger", "bulk", "cancel", "notifications", "messages"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: headers have lower-case names, `transaction` comes from the path."""

    endpoint: Endpoint
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    transaction: str | None = None
    query: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    document: object = None

    @property
    def api_key(self) -> str:
        """The key of `Authorization: ApiKey <key>`; empty without one."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "apikey" else ""

    @property
    def idempotent(self) -> bool:
        """Whether an Idempotency-Key means anything: only to calls that post."""
        return self.endpoint in ("trigger", "bulk")

    def events(self) -> list[Any]:
        """The events of a trigger or bulk, unchecked."""
        if not self.idempotent:
            return []
        return events_in(self.document, self.endpoint == "bulk")

    def named(self, name: str) -> list[str]:
        """The strings that the events have under a name."""
        fields = (cast("dict[str, Any]", one) for one in self.events() if isinstance(one, dict))
        values = (one.get(name) for one in fields)
        return [value for value in values if isinstance(value, str)]

    def transactions(self) -> list[str]:
        """The transaction ids a call is about."""
        if self.transaction is not None:
            return [self.transaction]
        return self.query.get("transactionId", []) or self.named("transactionId")
