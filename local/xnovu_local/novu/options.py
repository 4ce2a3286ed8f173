"""The settings of the local Novu; every one of them can be changed while it runs."""

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter

ServiceLevel = Literal["free", "pro", "team", "enterprise"]
Seconds = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class LocalNovuOptions:
    """
    How the local Novu behaves.

    api_key: the only key let in; None lets any key in, but none at all never.
    latency: seconds an accepted request takes.
    fan_out_delay: seconds from the 201 until the worker takes the event up.
    dedupe_gap: seconds from the worker's look for an earlier copy until its own delivery can be
        seen; two copies of a transaction whose gaps overlap are both delivered, as at Novu.
    idempotency: whether the Idempotency-Key header is heeded (off at Novu unless asked for).
    rate: a service level or tokens per second of the trigger category; None sets no limits.
    max_body: bytes of a request body let in.
    events_held, bytes_held: what the page may remember; the oldest goes first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    api_key: str | None = None
    latency: Seconds = 0.0
    fan_out_delay: Seconds = 0.0
    dedupe_gap: Seconds = 0.0
    idempotency: bool = False
    rate: ServiceLevel | Annotated[float, Field(gt=0)] | None = None
    max_body: Bytes = 26 * 1024 * 1024
    events_held: Bytes = 1000
    bytes_held: Bytes = 32 * 1024 * 1024

    def changed(self, changes: dict[str, Any]) -> "LocalNovuOptions":
        """These options with some of them changed; raises pydantic's ValidationError."""
        return _OPTIONS.validate_python({**asdict(self), **changes})

    def shown(self) -> dict[str, Any]:
        """All but the key, as JSON; what is shown here can be put back."""
        shown = asdict(replace(self, api_key=None))
        del shown["api_key"]
        return shown


_OPTIONS = TypeAdapter(LocalNovuOptions)
