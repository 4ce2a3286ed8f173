"""Checks the configuration, and on request tries what it points at."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from secrets import token_urlsafe
from typing import Any, cast

from rich.text import Text

from xnovu.adapters.mailboxes import MailboxOptions
from xnovu.adapters.nats.address import bare_servers
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.preflight import preflight as broker_preflight
from xnovu.adapters.postgres.connection import Door
from xnovu.adapters.postgres.preflight import preflight as database_preflight
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.cli.console import out, print_json
from xnovu.cli.operate.operator import operator
from xnovu.cli.run import chosen
from xnovu.cli.setup import mailboxes
from xnovu.compose.broker import nats_access, nats_url, transport_of
from xnovu.compose.kit import (
    opened_store,
    provider_of,
    provider_secrets,
    store_secrets,
    wakeup_secrets,
)
from xnovu.compose.part import Part
from xnovu.compose.promises import AT_PROVIDER, costly
from xnovu.compose.secrets import (
    DATABASE_URL,
    NATS_URL,
    SUPABASE_KEY,
    SUPABASE_URL,
    Secret,
    secret,
)
from xnovu.compose.settings import Settings, config_file, load
from xnovu.compose.variables import variable
from xnovu.errors import XNovuError
from xnovu.finding import Finding
from xnovu.reaching import place_of
from xnovu.sql.needs import NEEDS
from xnovu.sql.store import SqlStore

Check = Callable[[Settings, Sequence[Part]], Awaitable[Sequence[Finding]]]

WITHIN = 20.0
"""Seconds that each server has to answer; a stage would wait for it for ever."""
ROOM = 9000
"""Bytes that fit on no page of Postgres: they need new room on its disk."""
NAMES = {"nats": "NATS", "novu": "Novu"}
"""What these kinds are called."""


async def check_configuration(names: Sequence[str], *, connect: bool, as_json: bool = False) -> int:
    """Print what is in force and what is wrong; the exit code is 1 if anything is."""
    settings, parts = load(), chosen(names)
    findings = [Finding("settings", note="; ".join(costly(settings)))]
    findings += [_unset(each) for each in _secrets(settings, parts)]
    if connect and not any(each.fault for each in findings):
        for name, check in _checks(settings):
            findings += await _tried(name, check, settings, parts)
    told: dict[str, Any] = {"file": _file(), "places": _places(settings)}
    if as_json:
        in_force = settings.model_dump(mode="json")
        if place := told["places"].get(NATS_URL):
            in_force["transport"]["url"] = place
        checks = [asdict(finding) for finding in findings]
        print_json({**told, "settings": in_force, "checks": checks})
    else:
        _print(settings, told, findings)
    return 1 if any(each.fault for each in findings) else 0


def _print(settings: Settings, told: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    out.print(f"read from {told['file'] or 'no file'}, and the environment")
    for name, place in told["places"].items():
        out.print(f"{name} = {place}")
    for path, value in _leaves(settings.model_dump(mode="json")):
        named = variable(*path)
        origin = f"  # {named}" if named in os.environ else ""
        out.print(f"{'.'.join(path)} = {json.dumps(value, ensure_ascii=False)}{origin}")
    width = max((len(each.name) for each in findings), default=0)
    for each in findings:
        verdict = Text(each.fault, "red") if each.fault else Text("ok", "green")
        if each.note and not each.fault:
            verdict.append(f": {each.note}", "default")
        out.print(f"{each.name:<{width}}", verdict)


def _file() -> str | None:
    file = config_file()
    return str(file) if file else None


def _places(settings: Settings) -> dict[str, str]:
    """Where each server is, in truth, without passwords; what is not set is told elsewhere."""
    places: dict[str, Callable[[], str]] = {}
    if isinstance(settings.transport, NatsOptions):
        places[NATS_URL] = lambda: ", ".join(bare_servers(nats_url(settings)))
    if url := getattr(settings.provider, "url", None):
        places["provider.url"] = lambda: place_of(str(url))
    if settings.store.kind == "supabase":
        places[SUPABASE_URL] = lambda: place_of(secret(SUPABASE_URL)())
    if settings.store.kind == "postgres" or os.environ.get(DATABASE_URL):
        places[DATABASE_URL] = _database_place
    return {name: place for name, tell in places.items() if (place := _if_known(tell))}


def _database_place() -> str:
    return Door(secret(DATABASE_URL)()).place()


def _if_known(tell: Callable[[], str]) -> str | None:
    try:
        return tell()
    except XNovuError:
        return None


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each setting by its path; the broker's address is told as it is in force."""
    if isinstance(value, dict) and value:
        for name, inner in cast("dict[str, Any]", value).items():
            yield from _leaves(inner, (*path, name))
    elif path not in (("transport", "url"), ("provider", "url")):
        yield path, value


def _secrets(settings: Settings, parts: Sequence[Part]) -> Sequence[Secret]:
    needed = [*store_secrets(settings), *wakeup_secrets(settings)]
    if isinstance(settings.transport, NatsOptions):
        needed.append(nats_url(settings))
    if isinstance(settings.transport, MailboxOptions):
        needed.append(secret(DATABASE_URL))
    if any(part.name in AT_PROVIDER for part in parts):
        needed += provider_secrets(settings)
    return list({each.name: each for each in needed}.values())


def _unset(needed: Secret) -> Finding:
    try:
        needed()
    except XNovuError as error:
        return Finding(needed.name, str(error))
    return Finding(needed.name)


async def _tried(
    name: str, check: Check, settings: Settings, parts: Sequence[Part]
) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(WITHIN):
            return await check(settings, parts)
    except XNovuError as error:
        return [Finding(name, str(error))]
    except TimeoutError:
        return [Finding(name, f"does not answer within {WITHIN:g} s")]


async def _database(settings: Settings, parts: Sequence[Part]) -> Sequence[Finding]:
    stages = [part.name for part in parts if part.name in NEEDS]
    found = [*await _rights(settings, [*stages, "command"])]
    async with opened_store(settings, "check") as store:
        found.append(Finding("database schema", await store.ready()))
        if not found[-1].fault:
            found.append(Finding("database writes", await _unwritable(store)))
            found.append(Finding("database rows", await store.refused()))
    return found


async def _rights(settings: Settings, stages: Sequence[str]) -> Sequence[Finding]:
    match settings.store:
        case SupabaseOptions() as options:
            from xnovu.adapters.supabase import preflight as supabase

            return await supabase.preflight(
                secret(SUPABASE_URL), secret(SUPABASE_KEY), options, stages
            )
        case _:
            return await database_preflight(secret(DATABASE_URL)(), stages)


async def _unwritable(store: SqlStore) -> str | None:
    """Why it takes no writes (a stand-by, read-only, a full disk); a line of the audit is tried."""
    trial = {"trial": token_urlsafe(ROOM)}
    try:
        await store.note_operation(operator(), "config check", 0, trial)
    except XNovuError as error:
        return f"takes no writes: {error}"
    return None


async def _broker(settings: Settings, parts: Sequence[Part]) -> Sequence[Finding]:
    if isinstance(settings.transport, NatsOptions):
        needed = mailboxes(settings, parts)
        return await broker_preflight(nats_access(settings), settings.transport, needed)
    if isinstance(settings.transport, MailboxOptions):
        found = await database_preflight(secret(DATABASE_URL)(), ["transport"])
        return [each for each in found if each.fault or "transport" in each.name]
    transport = transport_of(settings)
    await transport.start()
    try:
        await transport.backlog(settings.pipeline.downstream)
    finally:
        await transport.stop()
    return [Finding(_named(settings.transport.kind))]


async def _provider(settings: Settings, parts: Sequence[Part]) -> Sequence[Finding]:
    if not any(part.name in AT_PROVIDER for part in parts):
        return []
    provider = provider_of(settings)
    await provider.open()
    try:
        return [Finding(_named(settings.provider.kind), await provider.ready())]
    finally:
        await provider.close()


def _named(kind: str) -> str:
    return NAMES.get(kind, kind)


def _checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    yield "database", _database
    yield _named(settings.transport.kind), _broker
    yield _named(settings.provider.kind), _provider
