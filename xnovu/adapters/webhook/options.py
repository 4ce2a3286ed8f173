"""Where the webhook is, and what its receiver promises."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from xnovu.exchange import http_url
from xnovu.options import ProviderOptions

PLACE = "{transaction_id}"


def _of_one_call(url: str) -> str:
    """A URL with the transaction id somewhere in its path."""
    if PLACE not in url:
        raise ValueError(f"must have {PLACE} in it")
    http_url(url.replace(PLACE, "x"))
    return url


OneCall = Annotated[str, AfterValidator(_of_one_call)]


class WebhookOptions(ProviderOptions, frozen=True):
    """
    The ``[provider]`` table when ``kind = "webhook"``.

    ``url`` is posted to. ``look_up_url`` and ``cancel_url`` have ``{transaction_id}`` in them:
    asked there, the receiver tells whether it has a call, or takes it back. Without a look-up, what
    may have arrived ends ``unclear``; or with ``resend`` is posted again under the same
    ``webhook-id``, since the receiver recognises one that it has had.

    ``concurrency`` is how many requests are under way at once.
    """

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(http_url)]
    look_up_url: OneCall | None = None
    cancel_url: OneCall | None = None
    resend: bool = False
    concurrency: int = Field(default=16, ge=1)
