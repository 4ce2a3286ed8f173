"""Novu's own SDK, for what it does without loss. Import it late: that takes half a second."""

from collections.abc import Callable
from typing import Annotated, cast

import httpx
from novu_py import Novu
from novu_py.models import NotificationsControllerListNotificationsRequest, NovuError
from novu_py.types import BaseModel
from novu_py.utils import FieldMetadata, QueryParamMetadata
from novu_py.utils.logger import NoOpLogger
from pydantic import Field


class _Asked(BaseModel):
    """The SDK's own query has a deprecated field, and warns of it at every call."""

    transaction_id: Annotated[
        str,
        Field(alias="transactionId"),
        FieldMetadata(query=QueryParamMetadata(style="form", explode=True)),
    ]


class LookUp:
    """The look-up of notifications by their transaction."""

    def __init__(self, url: str, key: Callable[[], str], client: httpx.AsyncClient) -> None:
        # Not its retries, which last up to an hour, nor its debug log of keys and payloads.
        self._sdk = Novu(
            secret_key=lambda: key().strip(),
            server_url=url,
            async_client=client,
            retry_config=None,
            debug_logger=NoOpLogger(),
        )

    async def __call__(self, transaction_id: str) -> list[str] | httpx.Response:
        """
        The transaction ids of what Novu finds, or the answer that the SDK could not use.

        That may be an error, or a good answer with a value that the SDK does not know. Raises
        httpx's errors.
        """
        asked = cast(
            "NotificationsControllerListNotificationsRequest",
            _Asked.model_validate({"transactionId": transaction_id}),
        )
        try:
            found = await self._sdk.notifications.list_async(request=asked)
        except NovuError as error:
            return error.raw_response
        return [each.transaction_id for each in found.result.data]
