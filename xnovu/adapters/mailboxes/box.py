"""One subscription: its slots take batches out of a mailbox, and settle them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

from xnovu.adapters.mailboxes.calls import Calls, Nothing, Taken
from xnovu.adapters.mailboxes.options import MailboxOptions
from xnovu.errors import ConfigurationError, Permanent, XNovuError
from xnovu.handling import buried, handled
from xnovu.policy import Done, Fate, Policy, Retry
from xnovu.ports import Handler, Publisher, Start

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds until the database is asked again that was away."""
LAST = 5
"""Workers that may vanish with a message in hand, all but the first with nothing else beside it."""


class Box:
    """
    Gives a handler what its mailbox has, ``policy.slots`` batches at a time, until it is stopped.

    Only one slot looks at a time: what it finds next, the next one takes.
    """

    def __init__(
        self,
        name: str,
        kinds: Sequence[str],
        policy: Policy,
        handler: Handler,
        start: Start,
    ) -> None:
        self.name, self.kinds, self.policy = name, tuple(kinds), policy
        self.start: Start = start
        self.trouble: str | None = None
        self._handler = handler
        self._in_hand: set[str] = set()
        self._looking = asyncio.Lock()
        self._hint = asyncio.Event()
        self._stopping = asyncio.Event()
        self._slots: list[asyncio.Task[None]] = []
        self._keeper: asyncio.Task[None] | None = None

    async def begin(self, calls: Calls, publisher: Publisher, options: MailboxOptions) -> None:
        self._calls, self._publisher, self._options = calls, publisher, options
        await self.open()
        slots, name = range(self.policy.slots), f"slot of {self.name}"
        self._slots = [asyncio.create_task(self._serve(), name=name) for _ in slots]
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.name}")

    async def open(self) -> None:
        """
        Have the mailbox; while the database is away, the slots go on trying.

        Raises ConfigurationError where it has no place for mailboxes.
        """
        try:
            await self._calls.open(self.name, self.kinds, self.start)
        except ConfigurationError:
            raise
        except XNovuError as error:
            self._ails(error)
            await self._rest(RETRY)

    def hint(self) -> None:
        """There may be something."""
        self._hint.set()

    async def end(self) -> None:
        """Take no more, and wait for the batches in hand."""
        self._stopping.set()
        self._hint.set()
        await asyncio.gather(*self._slots)
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _serve(self) -> None:
        while not self._stopping.is_set():
            token = str(uuid4())
            if not (taken := await self._next(token)):
                return
            self._in_hand.add(token)
            try:
                await self._settle(token, taken, await self._fates(taken))
            finally:
                self._in_hand.discard(token)

    async def _next(self, token: str) -> Sequence[Taken]:
        """A batch under this token, however long it takes; nothing once it is to stop."""
        async with self._looking:
            while not self._stopping.is_set():
                self._hint.clear()
                found = await self._looked(token)
                match found:
                    case Nothing(missing=True):
                        with suppress(ConfigurationError):
                            await self.open()
                    case Nothing(wait=wait):
                        await self._rest(min(self._options.poll, wait or self._options.poll))
                    case None:
                        await self._rest(RETRY)
                    case []:  # all of it was too old to be kept
                        continue
                    case taken:
                        return taken
        return ()

    async def _looked(self, token: str) -> Sequence[Taken] | Nothing | None:
        most, lease = self.policy.batch, self._options.lease
        try:
            found = await self._calls.take(self.name, token, most, lease)
        except XNovuError as error:
            self._ails(error)
            return None
        self.trouble = None
        return found

    def _ails(self, error: XNovuError) -> None:
        if self.trouble != str(error):
            self.trouble = str(error)
            log.warning("mailbox %s: %s", self.name, error)

    async def _rest(self, seconds: float) -> None:
        """Until a hint comes, or so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._hint.wait()
        except TimeoutError:
            return

    async def _fates(self, taken: Sequence[Taken]) -> Sequence[Fate]:
        if len(taken) == 1 and taken[0].vanished >= LAST:
            return [await self._buried(taken[0])]
        return await handled(self._handler, [one.delivery for one in taken])

    async def _buried(self, taken: Taken) -> Fate:
        delivery = taken.delivery._replace(attempt=taken.delivery.attempt - 1)
        what, at = f"message {taken.message}", datetime.now(UTC)
        done = await buried(self._publisher, delivery, self.name, at, what)
        return Done() if done else Retry(RETRY, spent=False)

    async def _settle(self, token: str, taken: Sequence[Taken], fates: Sequence[Fate]) -> None:
        """Until the database has been told, or refuses: then the lease lapses."""
        while True:
            try:
                await self._calls.settle(self.name, token, taken, fates)
            except Permanent as error:
                log.error("mailbox %s: a batch was not settled: %s", self.name, error)
            except XNovuError as error:
                self._ails(error)
                await asyncio.sleep(RETRY)
                continue
            return

    async def _keep(self) -> None:
        """Give a sign of life, and for what is in hand."""
        while True:
            try:
                await self._calls.keep(self.name, self._in_hand, self._options.lease)
            except XNovuError as error:
                self._ails(error)
            await asyncio.sleep(self._options.lease / 3)
