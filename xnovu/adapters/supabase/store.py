"""The database of record, over Supabase's REST API; its SQL is in `xnovu/sql`."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from postgrest import CountMethod

from xnovu.adapters.supabase.clients import Clients
from xnovu.adapters.supabase.errors import translated
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.sql.errors import AnswerLost
from xnovu.sql.store import SqlStore


def supabase_store(
    url: Callable[[], str],
    key: Callable[[], str],
    options: SupabaseOptions | None = None,
    enterprise_id: str | None = None,
) -> SqlStore:
    """The store over the REST API of a project, not yet open."""
    return SqlStore(SupabaseFunctions(url, key, options), enterprise_id)


class SupabaseFunctions:
    """
    The functions of schema ``notify`` through PostgREST, over one HTTP client.

    ``url`` is the project's and ``key`` one of the role ``service_role``; both are asked at each
    call, so that either can be changed without a restart. What cannot be read keeps its last value.
    """

    def __init__(
        self,
        url: Callable[[], str],
        key: Callable[[], str],
        options: SupabaseOptions | None = None,
    ) -> None:
        self._options = options or SupabaseOptions()
        self._clients = Clients(url, key, self._options)

    @property
    def most(self) -> int:
        return self._options.max_rows

    async def open(self) -> None:
        self._clients.open()

    async def close(self) -> None:
        """Close the client; one that still has calls under way, when they have ended."""
        await self._clients.close()

    async def renew(self) -> None:
        await self._clients.renew()

    async def call(self, function: str, **arguments: Any) -> Sequence[Any]:
        with translated(self._clients.place):
            async with self._clients.client() as notify, asyncio.timeout(self._options.timeout):
                asked = notify.rpc(function, arguments, count=CountMethod.exact)
                answer = await asked.execute()
        records: list[Any] = answer.data if isinstance(answer.data, list) else [answer.data]
        if answer.count is not None and answer.count > len(records):
            raise _cut_off(len(records))
        return records


def _cut_off(rows: int) -> AnswerLost:
    """It was done all the same; a claim that nobody has seen lapses, and comes round again."""
    return AnswerLost(
        f"Supabase gives {rows} rows at the most: set store.max_rows = {rows}, or a higher limit in"
        " the API settings of the project",
        code="configuration",
    )
