"""What every plug's table of settings has; a plug of one's own declares its own upon these."""

from typing import Annotated

from pydantic import BaseModel, Field

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class TransportOptions(BaseModel, extra="forbid", frozen=True):
    """
    The ``[transport]`` table, whatever its ``kind``.

    ``stop_timeout`` is how long the batches in hand may take at shutdown (seconds).
    """

    kind: str
    stop_timeout: Seconds = 35.0


class ProviderOptions(BaseModel, extra="forbid", frozen=True):
    """
    The ``[provider]`` table, whatever its ``kind``; all of it seconds.

    ``timeout`` bounds one request, and how long a call may wait before its request begins: for so
    long a row is one sender's alone, and the stage's own timeout must be longer than twice that.
    ``settle`` after a request a look-up finds what came of it, and for ``remembered``.
    """

    kind: str
    timeout: Seconds = 10.0
    settle: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    remembered: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 72_000.0
