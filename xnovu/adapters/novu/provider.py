"""The Novu gateway: the port ``Provider`` over one HTTP client."""

import asyncio
from collections.abc import Callable, Sequence

import httpx

from xnovu.adapters.novu.link import Link
from xnovu.adapters.novu.options import NovuOptions
from xnovu.adapters.novu.recall import Recalling
from xnovu.adapters.novu.requests import Event, event_of
from xnovu.adapters.novu.sending import Round, Verdicts
from xnovu.adapters.novu.wire import Wire
from xnovu.errors import XNovuError
from xnovu.peers import Alone, Peers
from xnovu.ports import Trigger
from xnovu.retraction import Recall, Recalled

_NOBODY = "xnovu-ready"


class NovuProvider:
    """
    ``Provider`` for Novu, cloud or self-hosted; between :meth:`open` and :meth:`close`.

    ``key`` is called for every request, so a rotated key is picked up; what it raises pauses.
    ``peers`` are the processes that share Novu's rate limit.

    Codes. Permanent: ``provider_refused``, ``workflow_not_found``, ``payload_invalid``,
    ``too_large``, ``too_many_recipients``, ``request_invalid``, ``invalid_row``. Paused:
    ``provider_auth``, ``provider_payment``, ``provider_address``, ``provider_unavailable``,
    ``rate_limited``. Retryable: ``provider_unclear``; Unclear, if the call may have been accepted.
    """

    def __init__(
        self,
        options: NovuOptions,
        key: Callable[[], str],
        *,
        peers: Peers | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._peers = peers or Alone()
        self._key = key
        self._transport = transport
        self._link: Link | None = None

    async def open(self) -> None:
        """Make the client; nothing is sent yet."""
        wire = Wire(self._options, self._key, self._transport)
        self._link = Link.over(wire, self._options, self._peers)

    async def close(self) -> None:
        link, self._link = self._link, None
        if link:
            await link.wire.close()

    async def ready(self) -> str | None:
        """What is wrong with the address or the key, in words; asks Novu (one look-up)."""
        if not self._link:
            return "the provider is not open"
        match await self._link.wire.look_up(_NOBODY):
            case XNovuError() as error if error.code != "rate_limited":
                return str(error)
            case _:
                return None

    async def trigger(self, calls: Sequence[Trigger], until: float) -> Sequence[XNovuError | None]:
        """Make the calls; answers within twice ``timeout``, whatever Novu does."""
        link, latest = self._opened()
        verdicts: Verdicts = {}
        events: list[Event] = []
        for call in {call.transaction_id: call for call in calls}.values():
            match event_of(call, self._options.metadata):
                case Event() as event:
                    events.append(event)
                case refused:
                    verdicts[call.transaction_id] = refused
        verdicts |= await Round(link, min(until, latest)).run(events)
        return [verdicts[call.transaction_id] for call in calls]

    async def cancel(self, calls: Sequence[Recall]) -> Sequence[Recalled | XNovuError]:
        """
        Take the calls back; answers within twice ``timeout``, whatever Novu does.

        Each costs a token or two of ``rate``, and look-ups.
        """
        return await Recalling(*self._opened()).run(calls)

    def _opened(self) -> tuple[Link, float]:
        """The link, and until when a request may begin (loop time)."""
        if not self._link:
            raise RuntimeError("the provider is not open")
        return self._link, asyncio.get_running_loop().time() + self._options.timeout
