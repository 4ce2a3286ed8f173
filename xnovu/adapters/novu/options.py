"""How to reach Novu, how fast, and how patiently."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from xnovu.exchange import http_url
from xnovu.options import ProviderOptions


class NovuOptions(ProviderOptions, frozen=True):
    """
    The settings of the Novu provider; seconds, and tokens as Novu counts them.

    ``environment`` prefixes every Idempotency-Key: Novu scopes keys by organization, not by
    environment.

    ``rate`` is how many tokens per second all processes together may spend, cancels included (0:
    as many as Novu allows, which its answers tell); one call costs 1, a bulk of any size
    ``bulk_cost``. ``bulk``: ``auto`` sends 2 or more events as one bulk where Novu
    has shown no rate limit (self-hosted), and where it has, only as many as the bulk costs tokens.
    What is looked up before it is sent goes singly.

    ``concurrency`` is how many requests are under way at once. ``timeout`` bounds one request,
    and how long a call may wait before its request begins, so that ``trigger`` answers within
    twice that: the stage's own timeout must be longer. For so long, too, a row is one sender's
    alone. ``settle`` seconds after a request a look-up finds what Novu has accepted of it, and for
    ``remembered`` seconds: Novu keeps its activity for a day at least.

    ``metadata`` is the key of the payload under which a notification's id, enterprise_id, name,
    channels, tags and workflow_version travel, for which Novu's contract has no field. What a
    payload has under that key itself is replaced; "" sends none. A workflow whose payload schema
    forbids additional properties needs it off.
    """

    kind: Literal["novu"] = "novu"
    url: Annotated[str, AfterValidator(http_url)] = "https://api.novu.co"
    environment: str = Field(default="default", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    rate: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    bulk: Literal["auto", "always", "never"] = "auto"
    bulk_cost: int = Field(default=100, ge=1)
    concurrency: int = Field(default=16, ge=1)
    metadata: str = "_xnovu"
