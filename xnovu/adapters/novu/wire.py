"""The one HTTP client to Novu, and Novu's own SDK upon it for what that does without loss."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import httpx

from xnovu.adapters.novu.activity import Page, page_of
from xnovu.adapters.novu.answers import obstacle, unavailable, unclear, unmakeable
from xnovu.adapters.novu.options import NovuOptions
from xnovu.errors import Paused, Permanent, Retryable, XNovuError
from xnovu.exchange import AWAY, UNMADE, http_client, only_until, why_unsent

LOOK_UPS = 4
"""Look-ups under way at once, in places of their own."""

T = TypeVar("T")

_NOT_OFFERED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


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
        self.on_answer: Callable[[httpx.Response], None] = lambda _: None
        connections, hooks = options.concurrency + LOOK_UPS, {"response": [self._heard]}
        self._client = http_client(options.timeout, connections, transport, event_hooks=hooks)
        from xnovu.adapters.novu.sdk import Sdk  # half a second

        self._sdk = Sdk(options.url, key, self._client)

    async def close(self) -> None:
        await self._client.aclose()

    async def _heard(self, answer: httpx.Response) -> None:
        self.on_answer(answer)

    def key(self) -> str | Paused:
        """The API key as it is now."""
        try:
            key = self._key().strip()
        except Exception as error:  # noqa: BLE001 - where keys come from is not ours to know
            return _no_key(f"cannot be read: {type(error).__name__}")
        usable = key.isascii() and key.isprintable() and key
        return key if usable else _no_key("is empty or has characters that no header may hold")

    async def post(
        self, path: str, body: bytes, idempotency_key: str, until: float
    ) -> httpx.Response | XNovuError:
        """Send a body as it is, or nothing of it after ``until`` (loop time and what was slept)."""
        key = self.key()
        if isinstance(key, Paused):
            return key
        in_time = {"trace": only_until(until)}
        headers = {
            "Authorization": f"ApiKey {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        }
        try:
            url = self._options.url + path
            request = self._client.build_request(
                "POST", url, content=body, headers=headers, extensions=in_time
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was sent
            return unmakeable(type(error).__name__)
        try:
            async with asyncio.timeout(self._options.timeout):
                return await self._client.send(request)
        except Exception as error:  # noqa: BLE001 - all of a vendor's errors end here
            return self._never_sent(error) or unclear(type(error).__name__)

    async def look_up(self, transaction_id: str) -> bool | XNovuError:
        """Whether Novu has notifications of this transaction; costs a token of "global"."""
        page = await self.page(transaction_id)
        return page if isinstance(page, XNovuError) else bool(page.entries)

    async def page(
        self, transaction_id: str, number: int | None = None, limit: int | None = None
    ) -> Page | XNovuError:
        """Some of a transaction's notifications; costs a token of "global"."""
        ask = partial(self._sdk.look_up, transaction_id, number, limit)
        found = await self._asked("look-up", ask)
        if isinstance(found, httpx.Response):
            found = self._reread(found)
        if isinstance(found, XNovuError) or found.is_of(transaction_id):
            return found
        return self._failed("look-up", "Novu answered for other transactions")

    async def cancel(self, transaction_id: str) -> bool | XNovuError:
        """Cancel what still waits of a transaction; whether anything did."""
        what = "cancellation"
        ask = partial(self._sdk.cancel, transaction_id)
        return self._done(what, await self._asked(what, ask))

    async def take_back(self, transaction_id: str) -> bool | XNovuError:
        """Delete a transaction's messages from inboxes; False where Novu does not offer it."""
        what = "deletion"
        answer = await self._asked(what, partial(self._sdk.take_back, transaction_id))
        if isinstance(answer, httpx.Response) and answer.status_code in _NOT_OFFERED:
            return False
        return self._done(what, answer)

    async def _asked(
        self, what: str, ask: Callable[[], Awaitable[T | httpx.Response]]
    ) -> T | httpx.Response | XNovuError:
        """What the SDK says, or the answer that it could not use."""
        if isinstance(key := self.key(), Paused):
            return key
        try:
            async with asyncio.timeout(self._options.timeout):
                return await ask()
        except Exception as error:  # noqa: BLE001 - all of a vendor's errors end here
            return self._never_sent(error) or self._failed(what, type(error).__name__)

    def _done(self, what: str, answer: bool | httpx.Response | XNovuError) -> bool | XNovuError:
        """Novu's word for what was to be done; a refusal is a No."""
        if not isinstance(answer, httpx.Response):
            return answer
        error = obstacle(answer)
        if isinstance(error, Paused):
            return error
        if answer.is_client_error and not error:
            return False
        return self._failed(what, f"HTTP {answer.status_code}")

    def _reread(self, response: httpx.Response) -> Page | XNovuError:
        error = obstacle(response)
        if isinstance(error, Paused):
            return error
        if response.status_code != HTTPStatus.OK:
            return self._failed("look-up", f"HTTP {response.status_code}")
        return page_of(response) or self._failed("look-up", "the answer cannot be read")

    def _never_sent(self, error: Exception) -> Paused | Permanent | None:
        """What a failed exchange means if nothing was sent; None where nobody knows."""
        if isinstance(error, AWAY):
            return unavailable(why_unsent(error, self._options.url))
        return unmakeable(type(error).__name__) if isinstance(error, UNMADE) else None

    def _failed(self, what: str, why: str) -> Retryable:
        return Retryable(f"the {what} failed: {why}", code="provider_unclear")


def _no_key(what: str) -> Paused:
    return Paused(f"the API key {what}", code="provider_auth")
