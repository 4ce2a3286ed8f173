"""Sends again what has failed, as the table has it."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from xnovu.cli.console import err, out, print_json, print_table, progress
from xnovu.cli.operate.operator import agreed, operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Failed, Search
from xnovu.sql.store import SqlStore

PAGE = 1000
"""Rows looked for, and sent again, at once."""
COUNTED = 100_000
"""Failed rows that are counted; what is over is not, but said to be there."""


async def retry_failed(
    search: Search, limit: int, *, yes: bool, who: str | None, as_json: bool = False
) -> int:
    """Show what has failed, ask, and send it again as a new generation."""
    async with opened_store(load(), "retry") as store:
        found = await store.failed(search, COUNTED)
        chosen = found[:limit]
        told = {"failed": len(found), "chosen": len(chosen), "sent_again": 0}
        if not as_json:
            _show(found, chosen)
        if found and agreed(f"send {_of(chosen, found)} again?", yes=yes):
            told["sent_again"] = await _all_again(store, search, len(chosen), operator(who))
            await store.note_operation(
                operator(who), "retry", told["sent_again"], _told(search, limit)
            )
            if not as_json:
                out.print(f"sent again: {told['sent_again']:,} of {_all(found)}")
    if as_json:
        print_json({**told, "codes": _counts(found)})
    return 0


def _show(found: Sequence[Failed], chosen: Sequence[Failed]) -> None:
    if not found:
        out.print("nothing has failed")
        return
    sending = Counter(failed.code for failed in chosen)
    print_table(
        ("failed", "of these", "enterprises", "code"),
        [
            (f"{n:,}", f"{sending[code]:,}", f"{_enterprises(found, code):,}", Text(code, "red"))
            for code, n in _counts(found).items()
        ],
    )
    if len(chosen) < len(found):
        err.print(f"{_of(chosen, found)}, the first to fail first; --limit {len(found)} takes more")


def _counts(found: Sequence[Failed]) -> dict[str, int]:
    return dict(Counter(failed.code for failed in found).most_common())


def _enterprises(found: Sequence[Failed], code: str) -> int:
    return len({failed.key.enterprise_id for failed in found if failed.code == code})


def _of(chosen: Sequence[Failed], found: Sequence[Failed]) -> str:
    return f"{len(chosen):,} of {_all(found)}"


def _all(found: Sequence[Failed]) -> str:
    return f"{len(found):,}{' or more' if len(found) >= COUNTED else ''}"


async def _all_again(store: SqlStore, search: Search, limit: int, who: str) -> int:
    """Page by page: what was sent again has no longer failed."""
    sent, again = 0, 1
    with progress("sending again", limit) as tell:
        while again and sent < limit:
            found = await store.failed(search, min(limit - sent, PAGE))
            again = len(await store.redrive([failed.key for failed in found], who=who))
            sent += again
            tell(sent)
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
