"""
What each stage will need of a Supabase project.

PostgREST describes the functions that the key may call (``openapi-mode = follow-privileges``, its
default): nothing is called.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xnovu.adapters.supabase.clients import Clients
from xnovu.adapters.supabase.errors import translated
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.errors import ConfigurationError, Permanent
from xnovu.finding import Finding
from xnovu.sql.needs import ALWAYS, NEEDS

DESCRIPTION = "application/openapi+json"
FUNCTION = "/rpc/"
WAY_OUT = (
    "run `xnovu migrate`, then NOTIFY pgrst, 'reload schema'; is the key the service key, and has"
    " nobody revoked what service_role was granted?"
)


async def preflight(
    url: Callable[[], str], key: Callable[[], str], options: SupabaseOptions, stages: Sequence[str]
) -> list[Finding]:
    """
    Say of each stage whether the key may call all that it will call.

    Raises:
        Paused: the project cannot be asked.
    """
    clients = Clients(url, key, options)
    clients.open()
    try:
        described = await _described(clients, options.timeout)
    except (Permanent, ConfigurationError) as error:  # if more is wrong, any other call says so
        return [Finding("database rights", note=f"not described to this key: {error}")]
    finally:
        await clients.close()
    known = {path.removeprefix(FUNCTION) for path in described.get("paths", {})}
    return [Finding(f"database: {stage}", _missing(stage, known)) for stage in stages]


async def _described(clients: Clients, within: float) -> dict[str, Any]:
    """Raises Permanent or ConfigurationError (404) where PostgREST is not to describe itself."""
    with translated(clients.place):
        async with clients.client() as notify, asyncio.timeout(within):
            headers = {**notify.headers, "Accept": DESCRIPTION}
            answer = await notify.session.get(f"{notify.base_url}/", headers=headers)
        return answer.json()


def _missing(stage: str, known: set[str]) -> str | None:
    lacking = [name for name in _needed(stage) if name not in known]
    if not lacking:
        return None
    return f"the key may not call notify.{', notify.'.join(lacking)}: {WAY_OUT}"


def _needed(stage: str) -> Iterator[str]:
    yield from ALWAYS
    yield from NEEDS[stage]
