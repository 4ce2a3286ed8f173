"""The one HTTP client to Novu, and Novu's own SDK upon it for what that does without loss."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import httpx
from pydantic_core import from_json

from xnovu.adapters.novu.answers import obstacle, unavailable, unclear
from xnovu.adapters.novu.options import NovuOptions
from xnovu.errors import Paused, Retryable, XNovuError

LOOK_UPS = 4
"""Look-ups under way at once, in places of their own."""

_CONNECT = 5.0
# Node closes an idle connection after 5 s: a shorter life here avoids most resets in mid-request.
_KEEPALIVE = 4.0


class Wire:
    """Requests to Novu: each gives an answer or the error that it means, and never raises."""

    def __init__(
        self,
        options: NovuOptions,
        key: Callable[[], str],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._key = key
        connect = min(_CONNECT, options.timeout / 2)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(options.timeout, connect=connect, pool=connect),
            limits=httpx.Limits(
                max_connections=options.concurrency + LOOK_UPS,
                max_keepalive_connections=options.concurrency + LOOK_UPS,
                keepalive_expiry=_KEEPALIVE,
            ),
            headers={"User-Agent": "xnovu"},
            transport=transport,
        )
        from xnovu.adapters.novu.sdk import LookUp  # half a second

        self._find = LookUp(options.url, key, self._client)

    async def close(self) -> None:
        await self._client.aclose()

    def key(self) -> str | Paused:
        """The API key as it is now."""
        try:
            key = self._key().strip()
        except Exception as error:  # noqa: BLE001 - where keys come from is not ours to know
            return _no_key(f"cannot be read: {type(error).__name__}")
        usable = key.isascii() and key.isprintable() and key
        return key if usable else _no_key("is empty or has characters that no header may hold")

    async def post(
        self, path: str, body: bytes, idempotency_key: str
    ) -> httpx.Response | XNovuError:
        """Send a body as it is."""
        key = self.key()
        if isinstance(key, Paused):
            return key
        headers = {
            "Authorization": f"ApiKey {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        }
        try:
            async with asyncio.timeout(self._options.timeout):
                url = self._options.url + path
                return await self._client.post(url, content=body, headers=headers)
        except Exception as error:  # noqa: BLE001 - all of a vendor's errors end here
            return self._broken(error)

    async def look_up(self, transaction_id: str) -> bool | XNovuError:
        """Whether Novu has notifications of this transaction; costs a token of "global"."""
        if isinstance(key := self.key(), Paused):
            return key
        found = await self._listed(transaction_id)
        if isinstance(found, XNovuError):
            return found
        if set(found) <= {transaction_id}:
            return bool(found)
        return self._failed("Novu answered for other transactions")

    async def _listed(self, transaction_id: str) -> list[str] | XNovuError:
        """The transaction ids of the notifications that a look-up finds."""
        try:
            async with asyncio.timeout(self._options.timeout):
                found = await self._find(transaction_id)
        except Exception as error:  # noqa: BLE001 - all of a vendor's errors end here
            broken = self._broken(error)
            return broken if isinstance(broken, Paused) else self._failed(type(error).__name__)
        return found if isinstance(found, list) else self._reread(found)

    def _reread(self, response: httpx.Response) -> list[str] | XNovuError:
        error = obstacle(response, self._options.settle)
        if isinstance(error, Paused):
            return error
        try:
            if response.status_code == HTTPStatus.OK:
                return [str(each["transactionId"]) for each in from_json(response.content)["data"]]
        except (ValueError, LookupError, TypeError):
            return self._failed("the answer cannot be read")
        return self._failed(f"HTTP {response.status_code}")

    def _failed(self, what: str) -> Retryable:
        settle = self._options.settle
        return Retryable(f"the look-up failed: {what}", code="provider_unclear", after=settle)

    def _broken(self, error: Exception) -> XNovuError:
        """What a failed exchange means: never sent, or sent with an unknown end."""
        name = type(error).__name__
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
                return unavailable(name)
            case httpx.ProxyError() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
                return unavailable(name)
            case _:
                return unclear(name, self._options.settle)


def _no_key(what: str) -> Paused:
    return Paused(f"the API key {what}", code="provider_auth")
