"""The one HTTP client to a webhook: each request is signed, and begins in time or not at all."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx

from xnovu.adapters.webhook.answers import unavailable, unclear
from xnovu.adapters.webhook.options import WebhookOptions
from xnovu.adapters.webhook.signing import signed
from xnovu.errors import Paused, Permanent, XNovuError
from xnovu.exchange import AWAY, UNMADE, http_client, only_until, why_unsent
from xnovu.sending import slept

_BODY, _BODY_SECONDS = 65_536, 1.0
"""How much of an answer is read, and how long; its status counts however it goes on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: what, where to, and the name by which its receiver recognises it."""

    method: str
    url: str
    name: str
    body: bytes = b""


Answer = tuple[httpx.Response, bytes]


class Wire:
    """Requests to a webhook: each gives an answer or the error that it means, and never raises."""

    def __init__(
        self,
        options: WebhookOptions,
        secret: Callable[[], str],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options, self._secret = options, secret
        self._places = asyncio.Semaphore(options.concurrency)
        self._client = http_client(options.timeout, options.concurrency, transport)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, asked: Asked, until: float) -> Answer | XNovuError:
        """An answer, whatever its status; no request begins after ``until`` (loop time)."""
        asleep = slept()
        try:
            async with asyncio.timeout_at(until):
                await self._places.acquire()
        except TimeoutError:
            return unavailable("no free connection in time")
        try:
            return await self._send(asked, until + asleep)
        finally:
            self._places.release()

    def headers(self, name: str, body: bytes) -> dict[str, str] | Paused:
        """The signature, by the secret as it is now."""
        try:
            return signed(self._secret(), name, int(time.time()), body)
        except ValueError as error:
            return _no_secret(str(error))
        except Exception as error:  # noqa: BLE001 - where secrets come from is not ours to know
            return _no_secret(f"cannot be read: {type(error).__name__}")

    async def _send(self, asked: Asked, end: float) -> Answer | XNovuError:
        headers = self.headers(asked.name, asked.body)
        if isinstance(headers, Paused):
            return headers
        if asked.body:
            headers["content-type"] = "application/json"
        try:
            request = self._client.build_request(
                asked.method,
                asked.url,
                content=asked.body or None,
                headers=headers,
                extensions={"trace": only_until(end)},
            )
            async with asyncio.timeout(self._options.timeout):
                response = await self._client.send(request, stream=True)
        except Exception as error:  # noqa: BLE001 - all of a vendor's errors end here
            return _never_sent(error, asked.url) or unclear(type(error).__name__)
        try:
            return response, await _beginning(response)
        finally:
            with suppress(httpx.HTTPError):
                await response.aclose()


async def _beginning(response: httpx.Response) -> bytes:
    read = bytearray()
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in response.aiter_bytes():
                read += chunk
                if len(read) > _BODY:
                    break
    return bytes(read)


def _never_sent(error: Exception, url: str) -> XNovuError | None:
    """What a failed exchange means if nothing was sent; None where nobody knows."""
    if isinstance(error, AWAY):
        return unavailable(why_unsent(error, url))
    if isinstance(error, UNMADE):
        what = f"no request to the webhook can be made of it: {type(error).__name__}"
        return Permanent(what, code="request_invalid")
    return None


def _no_secret(what: str) -> Paused:
    return Paused(f"the webhook's secret {what}", code="provider_auth")
