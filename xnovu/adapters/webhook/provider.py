"""The webhook: the port ``Provider`` over one signed POST for each call."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeVar

import httpx
from pydantic_core import to_json

from xnovu.adapters.webhook.answers import TOO_LATE, found, recalled, unclear, verdict
from xnovu.adapters.webhook.options import PLACE, WebhookOptions
from xnovu.adapters.webhook.wire import Asked, Wire
from xnovu.errors import Missing, Paused, Permanent, XNovuError
from xnovu.events import TRANSACTION_ID, is_transaction_id
from xnovu.ports import Trigger
from xnovu.retraction import RECIPIENTS, Recall, Recalled
from xnovu.together import all_of

T = TypeVar("T")

NOBODY = "xnovu-ready"

UNKNOWN = (
    "it may have been sent, and the webhook has no look-up: ask its receiver, and re-drive it if"
    " nobody was notified"
)


class WebhookProvider:
    """
    ``Provider`` for any service that takes a signed POST; between :meth:`open` and :meth:`close`.

    ``secret`` is called for every request, so a rotated one is picked up; what it raises pauses.

    Codes. Permanent: ``provider_refused``, ``too_large``, ``too_many_recipients``,
    ``payload_invalid``, ``request_invalid``, ``invalid_row``; ``unclear``, if it may have been sent
    and nobody can tell. Paused: ``provider_auth``, ``provider_payment``, ``provider_address``,
    ``provider_unavailable``, ``rate_limited``. Retryable: ``provider_unclear``.
    """

    def __init__(
        self,
        options: WebhookOptions,
        secret: Callable[[], str],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options, self._secret, self._transport = options, secret, transport
        self._wire: Wire | None = None

    async def open(self) -> None:
        """Make the client; nothing is sent yet."""
        self._wire = Wire(self._options, self._secret, self._transport)

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire:
            await wire.close()

    async def ready(self) -> str | None:
        """What is wrong with the secret, or with the look-up, where there is one."""
        wire, until = self._opened()
        headers = wire.headers(NOBODY, b"")
        answer = headers if isinstance(headers, Paused) else await self._look_up(NOBODY, until)
        return str(answer) if isinstance(answer, XNovuError) else None

    async def trigger(self, calls: Sequence[Trigger], until: float) -> Sequence[XNovuError | None]:
        """Make the calls; answers within thrice ``timeout``, whatever the webhook does."""
        _, latest = self._opened()
        end = min(until, latest)
        each = {call.transaction_id: call for call in calls}
        made = await all_of(_contained(self._made(call, end)) for call in each.values())
        answers = dict(zip(each, made, strict=True))
        return [answers[call.transaction_id] for call in calls]

    async def cancel(self, calls: Sequence[Recall]) -> Sequence[Recalled | XNovuError]:
        """Take the calls back, as far as the webhook can; answers in time, as :meth:`trigger`."""
        _, until = self._opened()
        return await all_of(_contained(self._taken_back(call, until)) for call in calls)

    async def _made(self, call: Trigger, until: float) -> XNovuError | None:
        if error := _misfit(call):
            return error
        if call.look_up or not call.send:
            known = await self._look_up(call.transaction_id, until)
            if isinstance(known, XNovuError):
                return known
            if known:
                return None
            if error := self._not_found(known, call):
                return error
        return await self._post(call, until)

    def _not_found(self, known: bool | None, call: Trigger) -> XNovuError | None:
        """Why a call that no look-up has found is not made; None: it is."""
        if known is None and not self._options.resend:
            return Permanent(UNKNOWN, code="unclear")
        if call.send:
            return None
        if known is None:
            return Missing("the webhook has no look-up", certain=False)
        return Missing("the webhook does not have it")

    async def _post(self, call: Trigger, until: float) -> XNovuError | None:
        body = _body(call)
        if isinstance(body, Permanent):
            return body
        asked = Asked("POST", self._options.url, call.transaction_id, body)
        answer = await self._opened()[0].ask(asked, until)
        return answer if isinstance(answer, XNovuError) else verdict(answer[0])

    async def _look_up(self, name: str, until: float) -> bool | XNovuError | None:
        """Whether the webhook has it; None: it cannot be asked."""
        if not self._options.look_up_url:
            return None
        url = self._options.look_up_url.replace(PLACE, name)
        answer = await self._opened()[0].ask(Asked("GET", url, f"{name}-look-up"), until)
        return answer if isinstance(answer, XNovuError) else found(*answer)

    async def _taken_back(self, call: Recall, until: float) -> Recalled | XNovuError:
        name = call.transaction_id
        if not is_transaction_id(name):  # nothing is ever sent under such an id
            return Recalled()
        if not self._options.cancel_url:
            known = await self._look_up(name, until)
            return known if isinstance(known, XNovuError) else _beyond_recall(known)
        data = {"transaction_id": name, "recipients": call.people}
        body = to_json({"type": "notification.cancel", "data": data})
        url = self._options.cancel_url.replace(PLACE, name)
        answer = await self._opened()[0].ask(Asked("POST", url, f"{name}-cancel", body), until)
        return answer if isinstance(answer, XNovuError) else recalled(*answer)

    def _opened(self) -> tuple[Wire, float]:
        """The client, and until when a request may begin (loop time)."""
        if not self._wire:
            raise RuntimeError("the provider is not open")
        return self._wire, asyncio.get_running_loop().time() + self._options.timeout


def _beyond_recall(known: bool | None) -> Recalled:
    """What was sent stays so; where nobody can tell if it was, it counts as sent."""
    return Recalled() if known is False else TOO_LATE


def _misfit(call: Trigger) -> Permanent | None:
    if len(call.recipients) > RECIPIENTS:
        reason = f"{len(call.recipients)} recipients in one call; it takes {RECIPIENTS}"
        return Permanent(reason, code="too_many_recipients")
    if not is_transaction_id(call.transaction_id):
        return Permanent(f"transaction_id is not {TRANSACTION_ID}", code="invalid_row")
    return None


def _body(call: Trigger) -> bytes | Permanent:
    """The same bytes whenever the call is made."""
    of = call.notification
    data = {
        "transaction_id": call.transaction_id,
        "notification_id": of.id,
        "enterprise_id": of.enterprise_id,
        "workflow_key": of.workflow_key,
        "workflow_version": of.workflow_version,
        "name": of.name,
        "recipients": call.recipients,
        "payload": of.payload,
        "overrides": of.overrides,
        "channels": of.channels,
        "tags": of.tags,
    }
    try:
        return to_json({"type": "notification.trigger", "data": data})
    except Exception:  # noqa: BLE001 - no cause: the vendor's message quotes the value
        return Permanent("payload or overrides cannot be written as JSON", code="payload_invalid")


async def _contained(work: Coroutine[None, None, T]) -> T | XNovuError:
    """It may have been sent: a raise would send it, and its neighbours, again."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - one call's trouble is no concern of the others
        return unclear(type(error).__name__)
