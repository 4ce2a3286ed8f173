"""What the tables still keep, for an operator."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from pydantic_core import from_json

from xnovu.adapters.mailboxes.calls import Calls
from xnovu.archive import Found, Kept, Selection, Target, require_removable
from xnovu.envelope import Address
from xnovu.errors import ConfigurationError
from xnovu.sql.functions import Functions

PAGE = 200
LOOK_AGAIN = 0.2
"""Seconds until a full mailbox is looked at again."""


class MessageArchive:
    """:class:`xnovu.archive.Archive`."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    async def count(self, selection: Selection) -> int:
        return (await self._counted(selection))["messages"]

    async def read(self, selection: Selection) -> AsyncGenerator[Kept]:
        last, chosen = (await self._counted(selection))["last"], _chosen(selection)
        while page := await self._functions.call("kept_messages", most=PAGE, **chosen):
            for line in page:
                if line["number"] > last:
                    return
                yield _kept(selection.kind, line)
            chosen["first"] = page[-1]["number"] + 1

    async def remove(
        self, kind: str, numbers: Iterable[int], tell: Callable[[int], None] = lambda _: None
    ) -> int:
        removed, left = 0, list(numbers)
        for at in range(0, len(left), PAGE):
            part = left[at : at + PAGE]
            [gone] = await self._functions.call("remove_messages", numbers=part)
            removed += gone
            tell(at + len(part))
        return removed

    async def _counted(self, selection: Selection) -> Any:
        [found] = await self._functions.call("count_messages", **_chosen(selection))
        return found


class MessageMailboxes:
    """:class:`xnovu.archive.Mailboxes`; who has read of late counts as running."""

    def __init__(self, functions: Functions) -> None:
        self._functions, self._calls = functions, Calls(functions)

    async def all(self) -> Sequence[Found]:
        return [
            Found(it.name, it.kinds, it.backlog.unsettled, it.is_read)
            for it in await self._calls.states(None)
        ]

    async def left_by(self, name: str) -> int:
        return require_removable(name, await self.all()).unsettled

    async def remove(self, name: str) -> None:
        await self._functions.call("remove_mailbox", mailbox=name)


class MessageReplay:
    """:class:`xnovu.archive.Replay`, into a mailbox; there are no subjects of one's own."""

    def __init__(self, functions: Functions, target: Target, rate: float) -> None:
        if target.subject or not target.stage:
            raise ConfigurationError(
                f'--to {target.subject}: subjects are NATS\', and transport.kind is "postgres";'
                " name a stage or a consumer"
            )
        self._functions, self._calls = functions, Calls(functions)
        self._archive = MessageArchive(functions)
        self._mailbox, self._room, self._rate = target.stage, target.room, rate
        self.stopping = asyncio.Event()
        self.last = 0

    async def count(self, selection: Selection) -> int:
        return await self._archive.count(selection)

    async def run(self, selection: Selection, progress: Callable[[int], None]) -> int:
        done, began = 0, asyncio.get_running_loop().time()
        window: list[int] = []
        size = min(PAGE, max(1, int(self._rate))) if self._rate else PAGE
        async with aclosing(self._archive.read(selection)) as reading:
            async for kept in reading:
                window.append(kept.number)
                if len(window) < size:
                    continue
                done += await self._hand_over(window)
                progress(done)
                if self._rate:
                    await self._rest(began + done / self._rate - asyncio.get_running_loop().time())
                if self.stopping.is_set():
                    return done
        done += await self._hand_over(window)
        progress(done)
        return done

    async def _hand_over(self, window: list[int]) -> int:
        """All of these once there is room: a replay must not push aside what is new."""
        while window and not self.stopping.is_set():
            [state] = await self._calls.states([self._mailbox])
            if state.backlog.unsettled < self._room:
                break
            await self._rest(LOOK_AGAIN)
        if not window:
            return 0
        given = {"mailbox": self._mailbox, "numbers": window}
        await self._functions.call("hand_over_messages", **given)
        self.last, count = window[-1], len(window)
        window.clear()
        return count

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.wait([asyncio.ensure_future(self.stopping.wait())], timeout=seconds)


def _chosen(selection: Selection) -> dict[str, Any]:
    return {
        "kind": selection.kind,
        "first": selection.first,
        "of_enterprise": selection.enterprise_id,
        "of_stage": selection.stage,
        "since": selection.since,
        "until": selection.until,
    }


def _kept(kind: str, line: dict[str, Any]) -> Kept:
    address = Address(line["enterprise_id"], kind, line["stage"])
    body, headers = b64decode(line["body"]), from_json(line["headers"])
    return Kept(line["number"], line["published_at"], address, body, headers)
