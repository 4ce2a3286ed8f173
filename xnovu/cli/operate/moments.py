"""Points in time as people type them."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from xnovu.compose.kit import opened_store
from xnovu.compose.operating import archives
from xnovu.compose.settings import load
from xnovu.errors import ConfigurationError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str | None, option: str, now: Callable[[], datetime]) -> datetime | None:
    """
    ISO 8601 (without a zone: UTC), or how long ago: ``90s``, ``15m``, ``2h``, ``3d``.

    ``now`` is asked only for that, of the server whose times it is compared with.

    Raises:
        ConfigurationError: it is neither.
    """
    if not text:
        return None
    if found := re.fullmatch(r"(\d{1,6})([smhd])", text.strip()):
        return now() - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{option} takes a time such as 2026-01-31T12:00:00Z, or how long ago: 90s, 15m, 2h, 3d"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def database_time() -> datetime:
    """What the database's clock shows. Raises Paused if it cannot be asked."""
    return asyncio.run(_database_time())


def transport_time() -> datetime:
    """What the transport's clock shows. Raises Paused if it cannot be asked."""
    return asyncio.run(_transport_time())


async def _database_time() -> datetime:
    async with opened_store(load(), "time") as store:
        return await store.now()


async def _transport_time() -> datetime:
    async with archives(load()) as found:
        return await found.now()
