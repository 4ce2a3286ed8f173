"""
A saboteur among the stages: at one passage of their work he kills the process, or cuts it off.

A passage is whatever leaves the process: a call of a function of the database, a request to Novu,
a message that is published or settled. It is named by its stage and by a row or a message that it
is about, so that it is the same passage however the work is cut into batches. He writes down each.
"""

import ctypes
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import httpx
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError
from pydantic import BaseModel
from pydantic_core import from_json

from xnovu.stage import Actor

FUNCTION = re.compile(rb"FROM notify\.(\w+)\(")
CLAIMS = ("claim", "claim_retractions")
"""What finds nothing most of the time, and is then no passage."""
UNSEEN = ("next_due", "state")
"""What only asks whether there is anything to do."""
DONE = "!"
"""Begins the line of the diary that tells of a deed."""
UNHEARD = "?"
"""Begins the line that names a row whose claim got no answer."""
NOBODY = "_INBOX.nobody"
PR_SET_PDEATHSIG = 1

Real = Callable[..., Awaitable[Any]]


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class How(StrEnum):
    """What is done at a passage."""

    KILL = "kill"
    """The process ends at once (SIGKILL)."""
    CUT = "cut"
    """The connection fails. Before: it has not happened. After: it has, and its answer is lost."""
    LOSE = "lose"
    """It gets lost on its way: it has not happened, and nobody is told so."""


class Deed(BaseModel, frozen=True):
    """What to do, and at which passage: its name as the diary has it."""

    passage: str
    when: When
    how: How

    def __str__(self) -> str:
        return f"{self.how} {self.when} {self.passage}"


class Orders(BaseModel, frozen=True):
    """The deeds, one after the other, and what has to be known for them."""

    deeds: tuple[Deed, ...]
    diary: Path
    prefix: str
    calls: Mapping[str, str]
    """What each transaction id is called."""


_stage: ContextVar[str] = ContextVar("stage", default="ingest")
_met: ContextVar[bool] = ContextVar("met", default=False)
"""Whether what is being sent has been met already."""


class Saboteur:
    """Watches the passages of this process, and does what he was told to."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self._left = list(orders.deeds)
        self._seen: Counter[str] = Counter()
        self._diary = os.open(orders.diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def meets(self, what: str, about: Sequence[str]) -> Deed | None:
        """What he does here; a passage that is about several can be named by any of them."""
        names = [f"{_stage.get()}: {what} {each}" for each in sorted(about)]
        self._seen.update(names)
        numbered = [f"{name} #{self._seen[name]}" for name in names]
        self._note(numbered[0])
        if not (self._left and self._left[0].passage in numbered):
            return None
        deed = self._left.pop(0)
        self._seen.clear()
        self._note(f"{DONE} {deed}")
        return deed

    def keeps_from_hearing(self, deed: Deed | None, ids: Sequence[str]) -> None:
        """Note whose claim has happened, if he cuts off its answer."""
        if deed and deed.when is When.AFTER and deed.how is not How.KILL:
            for number in ids:
                self._note(f"{UNHEARD}{number}")

    def _note(self, line: str) -> None:
        os.write(self._diary, f"{line}\n".encode())


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()
    raise AssertionError("nobody survives that")


def set_to_work(orders: Orders) -> None:
    """Let a saboteur into every door of this process."""
    saboteur = Saboteur(orders)
    Actor.__call__ = _telling_its_stage(Actor.__call__)
    psycopg.AsyncConnection.execute = _to_the_database(saboteur, psycopg.AsyncConnection.execute)
    httpx.AsyncHTTPTransport.handle_async_request = _to_novu(
        saboteur, httpx.AsyncHTTPTransport.handle_async_request
    )
    Client.publish = _to_a_stream(saboteur, Client.publish)
    Client._send_command = _in_a_batch(saboteur, Client._send_command)
    for verb in ("ack", "nak", "term"):
        setattr(Msg, verb, _settled(saboteur, verb, getattr(Msg, verb)))


def _telling_its_stage(call: Real) -> Real:
    async def called(actor: Actor, deliveries: Any) -> Any:
        _stage.set(actor.stage.name)  # and what its slot settles afterwards is its stage's, too
        return await call(actor, deliveries)

    return called


def _to_the_database(saboteur: Saboteur, execute: Real) -> Real:
    async def executed(connection: Any, query: Any, params: Any = None, **more: Any) -> Any:
        match _function(query):
            case None:
                return await execute(connection, query, params, **more)
            case claiming if claiming in CLAIMS:
                return await claimed(connection, claiming, query, params)
            case function:
                deed = saboteur.meets(function, _rows_in(params))
        await _disconnected(connection, deed, When.BEFORE)
        cursor = await execute(connection, query, params, **more)
        await _disconnected(connection, deed, When.AFTER)
        return cursor

    async def claimed(connection: Any, function: str, query: bytes, params: Any) -> Any:
        """What is cut off before its commit has not happened; by then it shows if it finds any."""
        async with connection.transaction():
            cursor = await execute(connection, query, params)
            if not (rows := await cursor.fetchall()):
                return cursor
            ids = [str(row["id"]) for row in rows]
            deed = saboteur.meets(function, ids)
            await _disconnected(connection, deed, When.BEFORE)
        saboteur.keeps_from_hearing(deed, ids)
        await _disconnected(connection, deed, When.AFTER)
        await cursor.scroll(0, "absolute")
        return cursor

    return executed


def _function(query: Any) -> str | None:
    """Which function is called, if it is one that does something."""
    found = FUNCTION.search(query) if isinstance(query, bytes) else None
    function = found[1].decode() if found else None
    return None if function in UNSEEN else function


async def _disconnected(connection: Any, deed: Deed | None, when: When) -> None:
    if not deed or deed.when is not when:
        return
    if deed.how is How.KILL:
        die()
    await connection.close()
    raise psycopg.OperationalError("the connection was cut")


def _rows_in(params: Mapping[str, Any]) -> list[str]:
    """The ids of the rows that a function's arguments are about, else the arguments' names."""
    for value in params.values():
        if isinstance(value, str) and value.startswith("["):
            return [str(each["id"]) for each in from_json(value)]
    return [",".join(params)]


def _to_novu(saboteur: Saboteur, handle: Real) -> Real:
    async def handled(transport: Any, request: httpx.Request) -> httpx.Response:
        calls = [saboteur.orders.calls[each] for each in _transactions_of(request)]
        deed = saboteur.meets(_endpoint(request), calls)
        if deed and deed.when is When.BEFORE:
            _unsent(request, deed)
        response = await handle(transport, request)
        if deed:
            await response.aclose()
            _unanswered(request, deed)
        return response

    return handled


def _unsent(request: httpx.Request, deed: Deed) -> NoReturn:
    if deed.how is How.CUT:
        raise httpx.ConnectError("not connected", request=request)
    _unanswered(request, deed)


def _unanswered(request: httpx.Request, deed: Deed) -> NoReturn:
    if deed.how is How.KILL:
        die()
    raise httpx.ReadError("the connection was cut", request=request)


def _endpoint(request: httpx.Request) -> str:
    path = request.url.path.removesuffix("/bulk").removeprefix("/v1")
    return f"{request.method} {re.sub('/[0-9a-f-]{36}$', '', path)}"


def _transactions_of(request: httpx.Request) -> list[str]:
    if request.method == "POST":
        body = from_json(request.content)
        return [event["transactionId"] for event in body.get("events", [body])]
    asked = request.url.params.get("transactionId")
    return [asked or request.url.path.rpartition("/")[2]]


def _to_a_stream(saboteur: Saboteur, publish: Real) -> Real:
    async def published(
        client: Client,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        name, ours = _name(headers), subject.startswith(f"{saboteur.orders.prefix}.")
        deed = saboteur.meets(f"publish {_lane(subject)}", [name]) if name and ours else None
        if deed and deed.when is When.BEFORE:
            _unpublished(deed)
            return
        if deed and deed.how is How.CUT:
            reply = NOBODY
        token = _met.set(True)
        try:
            await publish(client, subject, payload, reply, headers)
        finally:
            _met.reset(token)
        if deed:
            await _arrived(client, deed)

    return published


def _in_a_batch(saboteur: Saboteur, send: Real) -> Real:
    """Of a batch, only the ends are published by ``publish``."""

    async def sent(client: Client, command: bytes, *args: Any, **more: Any) -> None:
        if _met.get() or not command.startswith(b"HPUB "):
            await send(client, command, *args, **more)
            return
        subject, name = _read(command)
        deed = saboteur.meets(f"publish {_lane(subject)}", [name])
        if deed and deed.when is When.BEFORE:
            _unpublished(deed)
            return
        await send(client, command, *args, **more)
        if deed:
            await _arrived(client, deed)
            raise ConnectionClosedError

    return sent


def _read(command: bytes) -> tuple[str, str]:
    """The subject of a message as it goes onto the wire, and its name."""
    head, lines = command.decode().split("\r\n\r\n")[0].split("\r\n", 1)
    headers = dict(line.split(": ", 1) for line in lines.splitlines()[1:])
    return head.split()[1], _name(headers)


def _unpublished(deed: Deed) -> None:
    if deed.how is How.KILL:
        die()
    if deed.how is How.CUT:
        raise ConnectionClosedError


async def _arrived(client: Client, deed: Deed) -> None:
    """Once the server has it."""
    await client.flush()
    if deed.how is How.KILL:
        die()


def _settled(saboteur: Saboteur, verb: str, settle: Real) -> Real:
    async def settled(message: Msg, *args: Any) -> None:
        name = _name(message.headers)
        deed = saboteur.meets(f"{verb} {_lane(message.subject)}", [name]) if name else None
        if deed and deed.when is When.BEFORE:
            _unpublished(deed)
            message._ackd = True
            return
        await settle(message, *args)
        if deed:
            await _arrived(message._client, deed)
            message._ackd = False
            raise ConnectionClosedError

    return settled


def _name(headers: Mapping[str, str] | None) -> str:
    """A message's id without its enterprise: the rows of all have numbers of their own."""
    given = headers or {}
    kind, _, key = given.get("Nats-Msg-Id", given.get("id", "")).partition(":")
    return f"{kind}:{key.partition('/')[2]}" if key else ""


def _lane(subject: str) -> str:
    """Where a message goes or comes from: its kind, or which way it waits for another time."""
    _, kind, *more = subject.split(".")
    return f"{kind}.{more[1]}" if kind == "retry" else kind


def work(orders: Orders, environment: Mapping[str, str], log: Path) -> None:
    """Become all the stages in one process, with a saboteur among them; dies with its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.environ.clear()
    os.environ.update(environment)
    from xnovu.cli.run import run_stages

    set_to_work(orders)
    run_stages(["all"], None)
