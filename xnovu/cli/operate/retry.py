"""Sends again what has failed, as the table has it."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from xnovu.cli.console import out
from xnovu.cli.operate.operator import agreed, operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Failed, Search
from xnovu.sql.store import SqlStore

PAGE = 1000
"""Rows looked for, and sent again, at once."""


async def retry_failed(search: Search, limit: int, *, yes: bool, who: str | None) -> int:
    """Show what has failed, ask, and send it again as a new generation."""
    async with opened_store(load(), "retry") as store:
        found = await store.failed(search, min(limit, PAGE))
        if not found:
            out.print("nothing has failed")
            return 0
        out.print(_counts(found))
        more = f" and what follows, up to {limit}" if len(found) < limit else ""
        if not agreed(f"send these {len(found)}{more} again?", yes=yes):
            return 0
        sent = await _all_again(store, search, limit, operator(who))
        await store.note_operation(operator(who), "retry", sent, _told(search, limit))
    out.print(f"sent again: {sent}")
    return 0


async def _all_again(store: SqlStore, search: Search, limit: int, who: str) -> int:
    """Page by page: what was sent again has no longer failed."""
    sent, again = 0, 1
    while again and sent < limit:
        found = await store.failed(search, min(limit - sent, PAGE))
        again = len(await store.redrive([failed.key for failed in found], who=who))
        sent += again
    return sent


def _told(search: Search, limit: int) -> dict[str, object]:
    """How they were chosen, for the audit."""
    values = {
        "enterprise_id": search.enterprise_id,
        "code": search.code,
        "since": search.since and search.since.isoformat(),
        "until": search.until and search.until.isoformat(),
        "limit": limit,
    }
    return {name: value for name, value in values.items() if value is not None}


def _counts(found: Sequence[Failed]) -> Table:
    table = Table("code", "count", "enterprises", box=None)
    for code, count in Counter(failed.code for failed in found).most_common():
        enterprises = {failed.key.enterprise_id for failed in found if failed.code == code}
        table.add_row(code, str(count), str(len(enterprises)))
    return table
