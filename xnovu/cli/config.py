"""Checks the configuration, and on request what it points at."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_urlsafe

from rich.text import Text

from xnovu.adapters.novu import NovuProvider
from xnovu.cli.console import out
from xnovu.cli.operate.operator import operator
from xnovu.compose.kit import nats_transport, nats_url, opened_store, store_secrets, wakeup_secrets
from xnovu.compose.secrets import NOVU_KEY, Secret, secret
from xnovu.compose.serve import DOWNSTREAM
from xnovu.compose.settings import Settings, load
from xnovu.errors import XNovuError
from xnovu.sql.store import SqlStore

Check = Callable[[Settings], Awaitable[str | None]]

WITHIN = 20.0
"""Seconds that each server has to answer; a stage would wait for it for ever."""


ROOM = 9000
"""Bytes that fit on no page of Postgres: they need new room on its disk."""


async def check_configuration(*, connect: bool) -> int:
    """Print what is in force and what is wrong; the exit code is 1 if anything is."""
    settings = load()
    out.print_json(json.dumps(settings.model_dump(mode="json")))
    database = {each.name: each for each in (*store_secrets(settings), *wakeup_secrets(settings))}
    secrets = (*database.values(), nats_url(settings), secret(NOVU_KEY))
    faults = {each.name: _unset(each) for each in secrets}
    if connect and not any(faults.values()):
        faults |= {name: await _tried(check, settings) for name, check in CHECKS.items()}
    _print(faults)
    return 1 if any(faults.values()) else 0


def _print(faults: Mapping[str, str | None]) -> None:
    for name, fault in faults.items():
        out.print(f"{name:<20}", Text(fault, "red") if fault else Text("ok", "green"))


def _unset(needed: Secret) -> str | None:
    try:
        needed()
    except XNovuError as error:
        return str(error)
    return None


async def _tried(check: Check, settings: Settings) -> str | None:
    try:
        async with asyncio.timeout(WITHIN):
            return await check(settings)
    except XNovuError as error:
        return str(error)
    except TimeoutError:
        return f"does not answer within {WITHIN:g} s"


async def _database(settings: Settings) -> str | None:
    async with opened_store(settings, "check") as store:
        return await store.ready() or await _unwritable(store) or await store.refused()


async def _unwritable(store: SqlStore) -> str | None:
    """Why it takes no writes (a stand-by, read-only, a full disk); a line of the audit is tried."""
    trial = {"trial": token_urlsafe(ROOM)}
    try:
        await store.note_operation(operator(), "config check", 0, trial)
    except XNovuError as error:
        return f"takes no writes: {error}"
    return None


async def _broker(settings: Settings) -> str | None:
    transport = nats_transport(settings)
    await transport.start()
    try:
        await transport.backlog(DOWNSTREAM)
    finally:
        await transport.stop()
    return None


async def _novu(settings: Settings) -> str | None:
    provider = NovuProvider(settings.provider, secret(NOVU_KEY))
    await provider.open()
    try:
        return await provider.ready()
    finally:
        await provider.close()


CHECKS: dict[str, Check] = {"database": _database, "NATS": _broker, "Novu": _novu}
