"""
FastStream's broker, on a connection that always comes back.

What it touches of FastStream that is not documented stands in ``leans_on``, and is touched here.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from faststream.types import BrokerMiddleware
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from xnovu.adapters.nats.address import Access
from xnovu.adapters.nats.client import GuardedClient, Unencrypted, caught_up, jetstream_of, leave
from xnovu.adapters.nats.leans_on import require, require_leans_on
from xnovu.adapters.nats.rights import ACKNOWLEDGEMENTS, PROBE, beginning, denied, way_out
from xnovu.adapters.nats.said import REFUSED, cause, refused
from xnovu.errors import ConfigurationError, Paused

log = logging.getLogger(__name__)

Middleware = BrokerMiddleware[Any, Any]
"""FastStream's, around each batch."""

RECONNECT_WAIT = 0.5
PING_EVERY = 10
FLUSH_TIMEOUT = 1.0
API_TIMEOUT = 2.0
"""Seconds: between two attempts, between two pings, for the socket, for a JetStream request."""
OLDEST = (2, 12)
"""The first nats-server that delivers a message later: an older one would never do so."""
BATCHES_SINCE = (2, 14)
"""The first that takes messages as batches (fast ingest)."""


class Puller(Protocol):
    """What pulls over the connection; FastStream takes it for the subscription."""

    async def subscribe(self) -> "Puller": ...

    def interrupt(self) -> None:
        """Whatever was asked for is void: the connection went, or came back."""
        ...

    def take_no_more(self) -> None: ...

    async def unsubscribe(self) -> None: ...


class Broker(NatsBroker):
    """
    A NatsBroker that waits for its server at the start and after every loss, for ever.

    ``access`` is asked again at each connection, so secrets can be changed without a restart.
    ``address`` is the same without them, to be shown. ``era`` counts the connections: what the
    server said in an earlier one may no longer hold. ``alone`` is for who handles a message that
    is to be the only one of its kind in this process.
    """

    def __init__(
        self, access: Access, *, stop_timeout: float, middlewares: Sequence[Middleware] = ()
    ) -> None:
        require_leans_on()
        self.address = ",".join(access.servers)
        self.era = 0
        self.denials: dict[str, str] = {}
        self.alone = asyncio.Lock()
        self._access = access
        self._pullers: list[Puller] = []
        self._trouble = "not connected yet"
        self._stopping = False
        self._jetstream: JetStreamContext | None = None
        self._revival: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        super().__init__(
            access.servers, logger=None, graceful_timeout=stop_timeout, middlewares=middlewares
        )
        require(self, "_connection")

    @property
    def who(self) -> str:
        """As whom it asks to be let in; no secret."""
        return self._access.who

    @property
    def client(self) -> Client | None:
        """The connection, if it is up."""
        client = self._connection
        return client if client and client.is_connected else None

    @property
    def jetstream(self) -> JetStreamContext:
        """The connection's JetStream. Raises Paused while it is down."""
        if self.client and self._jetstream:
            return self._jetstream
        raise Paused(self.trouble, code="broker_unavailable")

    @property
    def trouble(self) -> str:
        return f"not connected to NATS at {self.address}: {self._trouble or 'connection lost'}"

    def attach(self, subscriber: BatchPullStreamSubscriber, puller: Puller) -> None:
        """Have a subscriber fed by our own pull loop instead of FastStream's."""

        async def create_subscription() -> None:
            if not subscriber.subscription:
                subscriber.subscription = await puller.subscribe()  # pyright: ignore[reportAttributeAccessIssue]

        require(subscriber, "subscription")
        self._pullers.append(puller)
        subscriber._create_subscription = create_subscription  # pyright: ignore[reportPrivateUsage]

    async def stop(self, *args: Any, **kwargs: Any) -> None:
        """Take no more, let what is in hand finish, settle it, disconnect."""
        self._stopping = True
        await _ended(self._revival)
        for puller in self._pullers:
            puller.take_no_more()
        try:
            await super().stop(*args, **kwargs)
        except (NatsError, OSError, TimeoutError) as error:
            log.warning("left NATS without a farewell: %s", cause(error))
        finally:
            await self._forget()
            if self._closing:
                await asyncio.wait([self._closing])

    async def _connect(self) -> Client:
        self._stopping = False
        client = GuardedClient(self._access)
        require(client, "_server_info")
        try:
            await client.connect(
                self._access.servers,
                name="xnovu",
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT,  # pyright: ignore[reportArgumentType]
                ping_interval=PING_EVERY,
                flush_timeout=FLUSH_TIMEOUT,
                skip_subject_validation=True,  # they are made to be valid, in ``topology``
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                **self._access.introduction(),
            )
            require_new_enough(client)
        except BaseException:
            await leave(client)
            raise
        self._trouble = ""
        self.era += 1
        self.config.connect(client)
        self._jetstream = jetstream_of(client, API_TIMEOUT)
        return client

    async def _on_error(self, error: Exception) -> None:
        said = cause(error)
        if isinstance(error, Unencrypted) and not self._connection:
            raise ConfigurationError(f"NATS at {self.address}: {said}")
        if any(word in said.lower() for word in REFUSED):
            self._on_refused(said)
        if subject := denied(said):
            self._on_denied(said, subject)
        else:
            self._note(said)

    def _on_denied(self, said: str, subject: str) -> None:
        """Who may not acknowledge is to look at that again, and to take no more."""
        about = beginning(subject)
        if about in self.denials:
            return
        self.denials[about] = said = way_out(said, self._access.who)
        if subject.endswith(PROBE):
            return
        log.warning("NATS at %s: %s", self.address, said)
        if subject.startswith(ACKNOWLEDGEMENTS):
            self.era += 1
            self._interrupt()

    async def lets_acknowledge(self, subject: str) -> bool:
        """Whether this user may publish there: the server says so before it answers a ping."""
        if not (client := self.client):
            raise Paused(self.trouble, code="broker_unavailable")
        self.denials.pop(beginning(subject), None)
        await client.publish(subject + PROBE, b"+WPI")
        await caught_up(client)
        return beginning(subject) not in self.denials

    def _note(self, trouble: str) -> None:
        """Say what is wrong, once."""
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("NATS at %s: %s", self.address, trouble)

    def _on_refused(self, said: str) -> None:
        """A first connection fails for it; a later one is made anew, with credentials read anew."""
        if not self._connection:
            raise refused(said, self.address, self._access.who)
        self._closing = asyncio.create_task(self._close(self._connection), name="nats-close")

    async def _close(self, client: Client) -> None:
        """nats-py may stumble over the lost connection, and then tells nobody that it is closed."""
        try:
            await client.close()
        except (NatsError, OSError, TimeoutError):
            await self._on_closed()

    async def _on_disconnected(self) -> None:
        self._interrupt()

    async def _on_reconnected(self) -> None:
        log.warning("connected to NATS at %s again", self.address)
        self.denials.clear()
        self._trouble = ""
        self.era += 1
        self._interrupt()

    async def _on_closed(self) -> None:
        """The client gives up for good on some of the server's errors; we do not."""
        reviving = self._revival and not self._revival.done()
        if self._connection and not self._stopping and not reviving:
            self._revival = asyncio.create_task(self._revive(), name="nats-revival")

    async def _revive(self) -> None:
        while not self._stopping:
            await self._forget()
            try:
                await self.connect()
            except (ConfigurationError, NatsError, OSError, TimeoutError) as error:
                self._note(cause(error))
                await asyncio.sleep(RECONNECT_WAIT)
            else:
                break
        self._interrupt()

    async def _forget(self) -> None:
        client, self._connection = self._connection, None
        if client:
            await leave(client)
        self.config.disconnect()

    def _interrupt(self) -> None:
        for puller in self._pullers:
            puller.interrupt()


def require_new_enough(client: Client) -> None:
    """Raises ConfigurationError where the server is too old."""
    found = _version(client)
    if found < OLDEST:
        needed, there = (".".join(map(str, each)) for each in (OLDEST, found))
        raise ConfigurationError(f"XNovu needs nats-server {needed}, and this is {there}")


def takes_batches(client: Client) -> bool:
    """Whether this server knows of batches."""
    return _version(client) >= BATCHES_SINCE


def _version(client: Client) -> tuple[int, int]:
    version = client.connected_server_version
    return version.major, version.minor


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()
        await asyncio.wait([task])
