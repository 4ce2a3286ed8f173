"""The transport that settings choose, and what commands need of NATS."""

from collections.abc import Sequence
from dataclasses import replace

from xnovu.adapters.mailboxes import MailboxOptions, PostgresTransport
from xnovu.adapters.memory.options import MemoryOptions
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.adapters.nats.address import Access, access_of, asked
from xnovu.adapters.nats.connection import Middleware
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.peers import NatsPeers
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.postgres.store import PostgresFunctions, PostgresOptions
from xnovu.adapters.postgres.wakeups import NotifyHints
from xnovu.compose.plugs import TRANSPORT
from xnovu.compose.secrets import (
    DATABASE_URL,
    NATS_CREDS,
    NATS_NKEY,
    NATS_PASSWORD,
    NATS_URL,
    NATS_USER,
    Secret,
    secret,
)
from xnovu.compose.settings import Settings
from xnovu.errors import ConfigurationError
from xnovu.peers import Peers
from xnovu.ports import Transport


def nats_options(settings: Settings) -> NatsOptions:
    """
    What these settings say of NATS.

    Raises:
        ConfigurationError: their transport is another one.
    """
    if isinstance(settings.transport, NatsOptions):
        return settings.transport
    kind = settings.transport.kind
    raise ConfigurationError(f'this works on NATS\' streams, and transport.kind is "{kind}"')


def nats_url(settings: Settings) -> Secret:
    """Where NATS is: a URL with credentials is a secret, one without may be a setting."""
    return secret(NATS_URL, nats_options(settings).url)


def nats_access(settings: Settings) -> Access:
    """
    How these settings are let in at NATS.

    Raises ConfigurationError: a secret that is named cannot be read, or is none.
    """
    names = {"creds": NATS_CREDS, "nkey": NATS_NKEY, "user": NATS_USER, "password": NATS_PASSWORD}
    secrets = {name: secret(variable) for name, variable in names.items()}
    told = {name: asked(each) for name, each in secrets.items() if each.is_set}
    return replace(access_of(nats_url(settings), nats_options(settings)), **told)


def nats_transport(settings: Settings, middlewares: Sequence[Middleware] = ()) -> NatsTransport:
    """The broker of these settings, not yet connected."""
    return NatsTransport(nats_options(settings), nats_access(settings), middlewares)


def transport_of(settings: Settings, middlewares: Sequence[Middleware] = ()) -> Transport:
    """
    The transport of these settings, not yet connected.

    Raises:
        ConfigurationError: there is a secret that cannot be read, or it is none for middlewares.
    """
    if middlewares and not isinstance(settings.transport, NatsOptions):
        kind = settings.transport.kind
        raise ConfigurationError(f'middlewares are NATS\', and transport.kind is "{kind}"')
    match settings.transport:
        case NatsOptions():
            return nats_transport(settings, middlewares)
        case MailboxOptions() as options:
            return _on_postgres(settings, options)
        case MemoryOptions():
            return MemoryTransport()
        case options:
            return TRANSPORT.made(options, options.kind)


def _on_postgres(settings: Settings, options: MailboxOptions) -> PostgresTransport:
    """In the database of the rows, whichever way the store goes there."""
    functions = functions_on_postgres(settings, options)
    hints = None if _is_pooled(settings) else NotifyHints(secret(DATABASE_URL))
    return PostgresTransport(functions, options, hints)


def functions_on_postgres(settings: Settings, options: MailboxOptions) -> PostgresFunctions:
    """The way to the tables of messages, not yet open."""
    url = secret(DATABASE_URL)
    url()  # it has to be there when a stage starts
    pooled = _is_pooled(settings)
    access = PostgresOptions(pool_max=options.pool_max, transaction_pooler=pooled)
    return PostgresFunctions(url, access, "xnovu-mailboxes")


def _is_pooled(settings: Settings) -> bool:
    return isinstance(settings.store, PostgresOptions) and settings.store.transaction_pooler


def peers_of(settings: Settings, transport: Transport) -> Peers | None:
    """Who shares the rate limit of these settings' Novu environment, as far as this broker goes."""
    match settings.provider, settings.transport, transport:
        case NovuOptions() as novu, NatsOptions() as options, NatsTransport() as nats:
            return NatsPeers(nats.broker, options.prefix, novu.environment)
        case _:
            return None
