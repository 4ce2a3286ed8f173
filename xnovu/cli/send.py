"""Inserts notifications from options or JSON, and waits for their end if asked to."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

from xnovu.cli.console import colored, err, out
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Desk
from xnovu.errors import ConfigurationError
from xnovu.events import Status

ENDED = (Status.SENT, Status.FAILED, Status.RETRACTED)
POLL = 0.1

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Flags:
    """One notification as the command line gives it."""

    enterprise: str | None
    workflow: str | None
    recipients: Sequence[str] | None
    payload: str | None
    at: str | None
    expires: str | None
    tags: Sequence[str] | None

    def row(self) -> Mapping[str, Any]:
        """The columns to insert. Raises ConfigurationError where something is missing or wrong."""
        if not (self.enterprise and self.workflow and self.recipients):
            raise ConfigurationError(
                "send needs --enterprise, --workflow and --recipient, or --json"
            )
        row = {
            "enterprise_id": self.enterprise,
            "notification_workflow_id": self.workflow,
            "recipients": list(self.recipients),
            "payload": _json(_text(self.payload), "--payload") if self.payload else None,
            "scheduled_for": self.at,
            "expires_at": self.expires,
            "tags": list(self.tags) if self.tags else None,
        }
        return {column: value for column, value in row.items() if value is not None}


async def insert(flags: Flags, path: Path | None, wait: float) -> int:
    """Insert, print the ids, wait; the exit code is 1 if a notification did not end SENT."""
    rows = _from_json(flags, path) if path else [flags.row()]
    async with opened_store(load(), "send") as store:
        ids = await store.insert(rows)
        for notification in ids:
            out.print(notification)
        return await _watch(store, ids, wait) if wait else 0


async def _watch(desk: Desk, ids: Sequence[int], wait: float) -> int:
    open_ids, sent = list(ids), 0
    try:
        async with asyncio.timeout(wait):
            while open_ids:
                sent += await _tell_ended(desk, open_ids)
                await asyncio.sleep(POLL if open_ids else 0)
    except TimeoutError:
        err.print(
            f"{len(open_ids)} have not ended after {wait:g} s; look at: xnovu show {open_ids[0]}"
        )
    return 0 if sent == len(ids) else 1


async def _tell_ended(desk: Desk, open_ids: list[int]) -> int:
    """Tell those that have ended and take them off the list; returns how many were sent."""
    sent = 0
    for notification in list(open_ids):
        history = await desk.history(notification)
        row = history["notification"] if history else {"notification_status": "gone"}
        status = row["notification_status"]
        if status in ENDED or not history:
            open_ids.remove(notification)
            sent += status == Status.SENT
            out.print(notification, colored(status), _why(row))
    return sent


def _why(row: Mapping[str, Any]) -> str:
    match row.get("error_details"):
        case {"code": code, "message": message}:
            return f"{code}: {message}"
        case _:
            return ""


def _text(argument: str) -> str:
    if argument == "-":
        return sys.stdin.read()
    return _read(Path(argument[1:])) if argument.startswith("@") else argument


def _read(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error


def _from_json(flags: Flags, path: Path) -> Rows:
    if any(astuple(flags)):
        raise ConfigurationError("--json has the whole notification; leave the other options out")
    return _rows(_read(path))


def _rows(text: str) -> Rows:
    """A JSON list, one JSON object, or one object a line."""
    try:
        parsed: object = json.loads(text)
    except json.JSONDecodeError:
        parsed = [_json(line, f"line {n}") for n, line in enumerate(text.splitlines(), 1) if line]
    rows = cast("list[object]", parsed) if isinstance(parsed, list) else [parsed]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError("--json takes objects with the columns of notify.ent_notification")
    return cast("Rows", rows)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"{what} is not JSON: {error.msg} ({place})") from None
