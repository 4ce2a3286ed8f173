"""What the tables still keep, for an operator."""

from base64 import b64decode
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any

from pydantic_core import from_json

from xnovu.adapters.mailboxes.calls import Calls
from xnovu.archive import Found, Kept, Selection, Target, require_removable
from xnovu.envelope import Address
from xnovu.errors import ConfigurationError
from xnovu.sql.functions import Functions

PAGE = 200


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


class MessageRecipient:
    """:class:`xnovu.archive.Recipient`: a mailbox; there are no subjects of one's own."""

    def __init__(self, functions: Functions, target: Target) -> None:
        if target.subject or not target.stage:
            raise ConfigurationError(
                f'--to {target.subject}: subjects are NATS\', and transport.kind is "postgres";'
                " name a stage or a consumer"
            )
        self._functions, self._calls = functions, Calls(functions)
        self._mailbox = target.stage

    async def waiting(self) -> int:
        [state] = await self._calls.states([self._mailbox])
        return state.backlog.unsettled

    async def take(self, messages: Sequence[Kept]) -> None:
        given = {"mailbox": self._mailbox, "numbers": [kept.number for kept in messages]}
        await self._functions.call("hand_over_messages", **given)


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
