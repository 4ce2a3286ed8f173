"""Novu's own SDK, for what it does without loss. Import it late: that takes half a second."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar, cast
from urllib.parse import quote

import httpx
from novu_py import Novu
from novu_py.models import (
    MessagesControllerDeleteMessagesByTransactionIDQueryParamChannel as Channel,
)
from novu_py.models import NotificationsControllerListNotificationsRequest, NovuError
from novu_py.types import BaseModel
from novu_py.utils import FieldMetadata, QueryParamMetadata
from novu_py.utils.logger import NoOpLogger
from pydantic import Field

from xnovu.adapters.novu.activity import Page

T = TypeVar("T")

_QUERY = FieldMetadata(query=QueryParamMetadata(style="form", explode=True))


class _Asked(BaseModel):
    """The SDK's own query has a deprecated field, and warns of it at every call."""

    transaction_id: Annotated[str, Field(alias="transactionId"), _QUERY]
    page: Annotated[int | None, _QUERY] = None
    limit: Annotated[int | None, _QUERY] = None


class Sdk:
    """
    What Novu is asked through its SDK.

    Each method gives what was asked for, or the answer that the SDK could not use: an error, or a
    good answer with a value that the SDK does not know. Raises httpx's errors.
    """

    def __init__(self, url: str, key: Callable[[], str], client: httpx.AsyncClient) -> None:
        # Not its retries, which last up to an hour, nor its debug log of keys and payloads.
        self._sdk = Novu(
            secret_key=lambda: key().strip(),
            server_url=url,
            async_client=client,
            retry_config=None,
            debug_logger=NoOpLogger(),
        )

    async def look_up(
        self, transaction_id: str, page: int | None = None, limit: int | None = None
    ) -> Page | httpx.Response:
        """The notifications of a transaction."""
        given = {"transactionId": transaction_id, "page": page, "limit": limit}
        asked = cast(
            "NotificationsControllerListNotificationsRequest", _Asked.model_validate(given)
        )
        found = await _usable(self._sdk.notifications.list_async(request=asked))
        if isinstance(found, httpx.Response):
            return found
        entries = [each.model_dump(mode="json", by_alias=True) for each in found.result.data]
        return Page(entries, found.result.has_more)

    async def cancel(self, transaction_id: str) -> bool | httpx.Response:
        """Cancel what waits of a transaction; whether anything did."""
        answer = await _usable(self._sdk.cancel_async(transaction_id=_step(transaction_id)))
        return answer if isinstance(answer, httpx.Response) else answer.result

    async def take_back(self, transaction_id: str) -> bool | httpx.Response:
        """Delete a transaction's messages from people's inboxes."""
        deleting = self._sdk.messages.delete_by_transaction_id_async(
            transaction_id=_step(transaction_id), channel=Channel.IN_APP
        )
        answer = await _usable(deleting)
        return answer if isinstance(answer, httpx.Response) else True


def _step(text: str) -> str:
    """
    One step of a URL's path: the SDK puts a path's parameters in as they are.

    Raises:
        InvalidURL: no quoting makes it one.
    """
    if text in ("", ".", ".."):
        raise httpx.InvalidURL("it is no step of a path")
    return quote(text, safe="")


async def _usable(asking: Awaitable[T]) -> T | httpx.Response:
    try:
        return await asking
    except NovuError as error:
        return error.raw_response
