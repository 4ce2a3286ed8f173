"""A runnable app around one stage, or several in one process."""

import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from faststream import AsyncAPI

from xnovu.adapters import logs
from xnovu.adapters.nats.connection import Middleware
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.compose.apps import App
from xnovu.compose.broker import peers_of, transport_of
from xnovu.compose.brokerless import Brokerless
from xnovu.compose.house import House, require_the_whole
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.compose.settings import Settings, load
from xnovu.errors import ConfigurationError
from xnovu.events import Rejected

COLLECT = 50_000, 20, 100
"""When the garbage collector runs (gc.set_threshold): 700 new objects are less than a batch has."""


def serve(
    *parts: Part, settings: Settings | None = None, middlewares: Sequence[Middleware] = ()
) -> App:
    """
    An app that runs these stages until it is told to stop; without settings it loads them.

    FastStream's ``middlewares`` are around each batch that a stage takes from its mailbox.

    A wrong configuration ends the process at once, and says what is wrong; so does, at the start,
    a broker or a database that refuses the credentials. What is away is waited for.
    """
    try:
        settings = settings or load()
        transport = transport_of(settings, middlewares)
        require_the_whole(parts, transport, settings.pipeline)
        name = "+".join(part.name for part in parts)
        kit = Kit(settings, name, peers=peers_of(settings, transport))
        house = House(parts, kit, transport)
    except ConfigurationError as error:
        raise SystemExit(f"xnovu: {error}") from None
    if not isinstance(transport, NatsTransport):
        return Brokerless(house, lambda: _answering(house))
    for part in parts:
        transport.announce(part.name, [*part.emits, Rejected])
    app = App(
        transport.broker,
        logger=None,
        lifespan=lambda: _answering(house),
        specification=AsyncAPI(title=f"XNovu: {name}"),
    )
    kit.context = transport.broker.context  # where FastStream puts a message and its app
    app.on_startup(house.open)
    app.after_startup(house.begin)
    app.after_startup(kit.admitted)
    app.on_shutdown(house.finish)
    return app


@asynccontextmanager
async def _answering(house: House) -> AsyncGenerator[None]:
    """
    Take over the process: how it logs, and how its memory is tidied up.

    Answer on the health port from the first moment on, and close everything in the end.

    FastStream stops nothing whose start has failed: what is open would keep the process alive.
    """
    logs.configure(house.settings.log.level, house.settings.log.format)
    gc.set_threshold(*COLLECT)
    try:
        await house.answer()
        yield
    except BaseException as error:
        house.refused = isinstance(error, ConfigurationError)  # who calls says why
        await house.finish()
        await house.transport.stop()
        raise
    finally:
        await house.close()
