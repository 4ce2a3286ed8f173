"""Inserts notifications from options or JSON, and waits for their end if asked to."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from xnovu.cli.console import colored, err, out, print_json
from xnovu.cli.rows import Rows, checked, explained, read_json, read_rows
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Desk
from xnovu.errors import ConfigurationError, XNovuError
from xnovu.events import Status

ENDED = (Status.SENT, Status.FAILED, Status.RETRACTED)
POLL = 0.1


@dataclass(frozen=True, slots=True)
class Flags:
    """One notification as the command line gives it."""

    enterprise: str | None
    workflow: str | None
    recipients: Sequence[str] | None
    name: str | None
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
            "name": self.name,
            "payload": read_json(_text(self.payload), "--payload") if self.payload else None,
            "scheduled_for": self.at,
            "expires_at": self.expires,
            "tags": list(self.tags) if self.tags else None,
        }
        return {column: value for column, value in row.items() if value is not None}


async def insert(flags: Flags, path: Path | None, wait: float, *, as_json: bool = False) -> int:
    """Insert, print the ids, wait; the exit code is 1 if a notification did not end SENT."""
    rows = checked(_from_json(flags, path) if path else [flags.row()])
    told = _Told(as_json)
    async with opened_store(load(), "send") as store:
        try:
            ids = await store.insert(rows)
        except XNovuError as error:
            raise explained(error, rows) from None
        for notification in ids:
            told.inserted(notification)
        code = await _watch(store, ids, wait, told) if wait else 0
    told.end()
    return code


@dataclass(slots=True)
class _Told:
    """What is said of each: at once, or as JSON when all is known."""

    as_json: bool
    rows: dict[int, dict[str, object]] = field(default_factory=dict[int, dict[str, object]])

    def inserted(self, notification: int) -> None:
        self.rows[notification] = {"id": notification}
        if not self.as_json:
            out.print(notification)

    def ended(self, notification: int, row: Mapping[str, Any]) -> None:
        status = row["notification_status"]
        self.rows[notification] |= {"status": status, "error_details": row.get("error_details")}
        if not self.as_json:
            out.print(notification, colored(status), _why(row))

    def end(self) -> None:
        if self.as_json:
            print_json(list(self.rows.values()))


async def _watch(desk: Desk, ids: Sequence[int], wait: float, told: _Told) -> int:
    open_ids, sent = list(ids), 0
    try:
        async with asyncio.timeout(wait):
            while open_ids:
                sent += await _tell_ended(desk, open_ids, told)
                await asyncio.sleep(POLL if open_ids else 0)
    except TimeoutError:
        err.print(
            f"{len(open_ids)} have not ended after {wait:g} s; look at: xnovu show {open_ids[0]}"
        )
    return 0 if sent == len(ids) else 1


async def _tell_ended(desk: Desk, open_ids: list[int], told: _Told) -> int:
    """Tell those that have ended and take them off the list; returns how many were sent."""
    sent = 0
    for notification in list(open_ids):
        history = await desk.history(notification)
        row = history["notification"] if history else {"notification_status": "gone"}
        status = row["notification_status"]
        if status in ENDED or not history:
            open_ids.remove(notification)
            sent += status == Status.SENT
            told.ended(notification, row)
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
    return _read(Path(argument[1:]), "--payload") if argument.startswith("@") else argument


def _read(path: Path, what: str) -> str:
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{what}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what}: {path} is no UTF-8 text (byte {error.start})") from None


def _from_json(flags: Flags, path: Path) -> Rows:
    if any(astuple(flags)):
        raise ConfigurationError("--json has the whole notification; leave the other options out")
    return read_rows(_read(path, "--json"))
