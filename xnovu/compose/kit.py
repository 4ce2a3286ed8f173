"""The parts a stage may ask for, each opened once and closed with the app."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from xnovu.adapters.metrics import Metrics
from xnovu.adapters.novu import NovuOptions, NovuProvider
from xnovu.adapters.postgres.store import postgres_store
from xnovu.adapters.postgres.wakeups import NotifyWakeUps
from xnovu.adapters.supabase.options import RealtimeOptions, SupabaseOptions
from xnovu.adapters.webhook import WebhookOptions, WebhookProvider
from xnovu.compose.plugs import PROVIDER
from xnovu.compose.secrets import (
    DATABASE_URL,
    NOVU_KEY,
    SUPABASE_KEY,
    SUPABASE_URL,
    WEBHOOK_SECRET,
    Secret,
    secret,
)
from xnovu.compose.settings import Settings
from xnovu.desk import Desk
from xnovu.errors import ConfigurationError, XNovuError
from xnovu.extras import wanted
from xnovu.peers import Peers
from xnovu.ports import Provider, Resource, WakeUps
from xnovu.sending import SendTimes
from xnovu.sql.errors import UNAVAILABLE
from xnovu.sql.store import SqlStore
from xnovu.store import Store

if TYPE_CHECKING:
    from faststream.context import ContextRepo

KNOCK = 1.0
"""Seconds between two questions to a database that is away."""


class PluggedProvider(Provider, Resource, Protocol):
    """A provider as settings choose it."""


def provider_of(settings: Settings, peers: Peers | None = None) -> PluggedProvider:
    """The provider of these settings, not yet open; ``peers`` are who shares its rate."""
    for each in provider_secrets(settings):
        needed(each)
    match settings.provider:
        case NovuOptions() as options:
            return NovuProvider(options, secret(NOVU_KEY), peers=peers)
        case WebhookOptions() as options:
            return WebhookProvider(options, secret(WEBHOOK_SECRET))
        case options:
            return PROVIDER.made(options, options.kind)


def provider_secrets(settings: Settings) -> Sequence[Secret]:
    """What the provider of these settings has to know."""
    match settings.provider:
        case NovuOptions():
            return (secret(NOVU_KEY),)
        case WebhookOptions():
            return (secret(WEBHOOK_SECRET),)
        case _:
            return ()


def store_of(settings: Settings, name: str, enterprise_id: str | None = None) -> SqlStore:
    """
    The database of these settings, not yet open; ``name`` is what its logs show.

    With an enterprise's id it is that one's only.
    """
    match settings.store:
        case SupabaseOptions() as options:
            with wanted():
                from xnovu.adapters.supabase.store import supabase_store

            return supabase_store(
                secret(SUPABASE_URL), secret(SUPABASE_KEY), options, enterprise_id
            )
        case options:
            return postgres_store(secret(DATABASE_URL), options, f"xnovu-{name}", enterprise_id)


@asynccontextmanager
async def opened_store(settings: Settings, name: str) -> AsyncGenerator[SqlStore]:
    """The database of these settings, for as long as a command works with it."""
    store = store_of(settings, name)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def wakeups_of(settings: Settings, enterprise_id: str | None = None) -> WakeUps | None:
    """Who gives the hints in these settings, not yet started; None: nobody."""
    match _hints(settings):
        case "notify":
            return NotifyWakeUps(secret(DATABASE_URL))
        case "realtime":
            with wanted():
                from xnovu.adapters.supabase.realtime import RealtimeWakeUps

            one = frozenset({enterprise_id} if enterprise_id else ())
            options = RealtimeOptions(enterprises=one or settings.wakeups.enterprises)
            return RealtimeWakeUps(secret(SUPABASE_URL), secret(SUPABASE_KEY), options)
        case _:
            return None


def _hints(settings: Settings) -> str:
    if settings.wakeups.kind != "auto":
        return settings.wakeups.kind
    if settings.store.kind == "supabase":
        return "realtime"
    return "sweep" if settings.store.transaction_pooler else "notify"


def wakeup_secrets(settings: Settings) -> Sequence[Secret]:
    """What has to be known for the hints of these settings."""
    match _hints(settings):
        case "notify":
            return (secret(DATABASE_URL),)
        case "realtime":
            return secret(SUPABASE_URL), secret(SUPABASE_KEY)
        case _:
            return ()


def store_secrets(settings: Settings) -> Sequence[Secret]:
    """What the store of these settings has to know."""
    if settings.store.kind == "supabase":
        return secret(SUPABASE_URL), secret(SUPABASE_KEY)
    return (secret(DATABASE_URL),)


def needed(asked: Secret) -> Secret:
    """
    A secret that has to be there when a stage starts.

    Raises:
        ConfigurationError: it is not.
    """
    asked()
    return asked


class Database(Store, Desk, Protocol):
    """What stages and people ask of one database."""

    @property
    def enterprise_id(self) -> str | None:
        """Whose rows alone it sees and changes; None: everybody's."""
        ...


@dataclass(slots=True)
class Kit:
    """
    The ports a stage may ask for; each is opened on first request and closed with the app.

    With an ``enterprise_id`` the database is that one's only; ``peers`` share the provider's rate.
    What is ``given`` is used as it is, and neither opened nor closed.
    """

    settings: Settings
    name: str
    enterprise_id: str | None = None
    given_store: Database | None = None
    given_provider: Provider | None = None
    metrics: Metrics = field(default_factory=Metrics)
    peers: Peers | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _store: SqlStore | None = None
    _provider: PluggedProvider | None = None
    _context: "ContextRepo | None" = None

    @property
    def context(self) -> "ContextRepo":
        """What the functions of consumers may ask for."""
        if self._context is None:
            from faststream.context import ContextRepo  # stages alone need no FastStream

            self._context = ContextRepo()
        return self._context

    @context.setter
    def context(self, known: "ContextRepo") -> None:
        self._context = known

    @property
    def times(self) -> SendTimes:
        """How long a row is one sender's alone, and until what he sent surely shows."""
        told = self.settings.provider
        return SendTimes(told.timeout, told.settle, told.remembered)

    async def store(self) -> Database:
        if self.given_store:
            return self.given_store
        if self._store is None:
            for each in store_secrets(self.settings):
                needed(each)
            self._store = store_of(self.settings, self.name, self.enterprise_id)
            await self._store.open()
            self.stack.push_async_callback(self._store.close)
        return self._store

    async def provider(self) -> Provider:
        if self.given_provider:
            return self.given_provider
        if self._provider is None:
            self._provider = provider_of(self.settings, self.peers)
            await self._provider.open()
            self.stack.push_async_callback(self._provider.close)
        return self._provider

    def wakeups(self) -> WakeUps | None:
        """Who gives hints to the table; nobody, where only the sweep is to look."""
        if self.given_store:
            return None
        for each in wakeup_secrets(self.settings):
            needed(each)
        return wakeups_of(self.settings, self.enterprise_id)

    async def admitted(self) -> None:
        """
        Wait until the database has answered for the first time, for those stages that use it.

        Raises ConfigurationError: it refuses the credentials. What else is wrong may pass.
        """
        while self._store and (error := await _complaint(self._store)):
            if error.code == "store_auth":
                raise ConfigurationError(str(error))
            if error.code != UNAVAILABLE:
                return
            await asyncio.sleep(KNOCK)

    async def database_ready(self) -> str | None:
        """What is wrong with the database, for those stages that use it."""
        return await self._store.ready() if self._store else None

    async def rows_refused(self) -> str | None:
        """Which rows the database lets nobody change, for those stages that use it."""
        return await self._store.refused() if self._store else None


async def _complaint(store: SqlStore) -> XNovuError | None:
    """What it says to the cheapest of questions."""
    try:
        await store.next_due()
    except XNovuError as error:
        return error
    return None
