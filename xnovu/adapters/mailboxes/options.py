"""What an operator sets of the transport on Postgres."""

from typing import Annotated, Literal

from pydantic import Field

from xnovu.options import TransportOptions


class MailboxOptions(TransportOptions, frozen=True):
    """
    The ``[transport]`` table when ``kind = "postgres"``.

    A dead worker's messages come again after ``lease`` seconds. Without a hint a mailbox is looked
    into every ``poll`` seconds. Messages are kept for ``retention_days``; ``pool_max`` connections
    at most, beside those of the store.
    """

    kind: Literal["postgres"] = "postgres"
    lease: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 10.0
    poll: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)] = 1.0
    retention_days: Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)] = 1.0
    pool_max: Annotated[int, Field(ge=1, le=1000)] = 8
