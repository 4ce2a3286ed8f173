"""What operators are shown before they agree, and what is said of what there is not."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xnovu.cli.operate import limits, retry
from xnovu.desk import Failed, Registered, Search
from xnovu.errors import ConfigurationError, Permanent
from xnovu.events import Key

START = datetime(2026, 1, 1, tzinfo=UTC)
ACME, NEW, WRONG = "acme", "new", "not a uuid"


class Desk:
    """As much of a store as these commands ask."""

    def __init__(self, failed: int = 0) -> None:
        self.rows = [
            Failed(
                Key(ACME, number), "expired" if number % 2 else "too_large", START + number * SECOND
            )
            for number in range(failed)
        ]
        self.noted: list[tuple[str, int]] = []

    async def failed(self, search: Search, limit: int) -> Sequence[Failed]:
        if search.enterprise_id == WRONG:
            raise Permanent("the database refused a value (22P02)", code="invalid_row")
        return self.rows[:limit]

    async def redrive(self, keys: Sequence[Key], **_: object) -> Sequence[Key]:
        self.rows = [failed for failed in self.rows if failed.key not in set(keys)]
        return keys

    async def registered(self, enterprise: str | None) -> Sequence[Registered]:
        return [Registered(ACME, "welcome", None)] if enterprise == ACME else []

    async def limit(self, *_: object) -> bool:
        return True

    async def note_operation(self, who: str, what: str, count: int, details: Any) -> None:
        self.noted.append((what, count))


SECOND = timedelta(seconds=1)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[[Desk], Desk]:
    monkeypatch.chdir(tmp_path)

    def use(desk: Desk) -> Desk:
        @asynccontextmanager
        async def opened(*_: object) -> AsyncIterator[Desk]:
            yield desk

        for module in (retry, limits):
            monkeypatch.setattr(module, "opened_store", opened)
        return desk

    return use


async def test_what_would_be_sent_again_is_counted_whole(on, capsys):
    """Of 2,017 the first 1,000 were once shown as if they were all."""
    desk = on(Desk(2017))
    assert await retry.retry_failed(Search(), 1000, yes=False, who=None) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1:] == [
        "1,009   500       1            too_large",
        "1,008   500       1            expired",
    ]
    assert "1,000 of 2,017, the first to fail first; --limit 2017 takes more" in told.err
    assert "dry run" in told.err
    assert not desk.noted
    await retry.retry_failed(Search(), 1000, yes=True, who="ada")
    assert "sent again: 1,000 of 2,017" in capsys.readouterr().out
    assert desk.noted == [("retry", 1000)]


async def test_as_json_nothing_else_is_printed(on, capsys):
    on(Desk(5))
    await retry.retry_failed(Search(), 3, yes=True, who="ada", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "failed": 5,
        "chosen": 3,
        "sent_again": 3,
        "codes": {"too_large": 3, "expired": 2},
    }


async def test_limits_of_an_enterprise_that_can_be_none_are_refused(on):
    on(Desk())
    with pytest.raises(ConfigurationError, match="'not a uuid' can be no enterprise's id"):
        await limits.change(WRONG, {"weight": 3}, None, "ada")


@pytest.mark.parametrize(("enterprise", "said"), [(ACME, ""), (NEW, "no workflow is registered")])
async def test_limits_of_an_unknown_enterprise_are_said_to_be(on, capsys, enterprise, said):
    on(Desk())
    assert await limits.change(enterprise, {"weight": 3}, None, "ada") == 0
    told = capsys.readouterr()
    assert said in told.err
    assert "changed" in told.out
