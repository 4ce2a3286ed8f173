"""Takes notifications back, and tells what that has achieved."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from xnovu.cli.console import err, out, print_json
from xnovu.cli.operate.operator import operator
from xnovu.cli.show import require_id
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Desk
from xnovu.events import Key, Retraction

POLL = 0.2
NOBODY = frozenset({Retraction.STOPPED, Retraction.CANCELLED})
"""Outcomes after which nobody has it."""


async def take_back(
    ids: Sequence[int], reason: str, *, wait: float, who: str | None, as_json: bool = False
) -> int:
    """
    Retract, print each, and wait for the outcomes if asked to.

    The exit code is 1 if one is not there, or, after waiting, if somebody has one or may get it.
    """
    for number in ids:
        require_id(number)
    told = _Told(as_json)
    async with opened_store(load(), "retract") as store:
        keys = {number: await _key(store, number) for number in dict.fromkeys(ids)}
        found = [key for key in keys.values() if key]
        changed = {key.notification_id for key in await store.retract(found, reason)}
        details = {"reason": reason, "ids": sorted(changed)}
        await store.note_operation(operator(who), "retract", len(changed), details)
        for number, key in keys.items():
            told.of(number, there=key is not None, changed=number in changed)
        waited = [key.notification_id for key in found]
        nobody = not wait or await _nobody_has(store, waited, wait, told)
    told.end()
    return 0 if nobody and len(found) == len(keys) else 1


@dataclass(slots=True)
class _Told:
    """What is said of each: at once, or as JSON when all is known."""

    as_json: bool
    rows: dict[int, dict[str, object]] = field(default_factory=dict[int, dict[str, object]])

    def of(self, number: int, *, there: bool, changed: bool) -> None:
        said = "retracted" if changed else "was retracted before"
        self.rows[number] = {"id": number, "there": there, "changed": changed, "outcome": None}
        if not there:
            err.print(f"no notification {number} in notify.ent_notification")
        elif not self.as_json:
            out.print(number, said)

    def outcome(self, number: int, outcome: str) -> None:
        self.rows[number]["outcome"] = outcome
        if not self.as_json:
            out.print(number, outcome)

    def end(self) -> None:
        if self.as_json:
            print_json(list(self.rows.values()))


async def _key(desk: Desk, number: int) -> Key | None:
    history = await desk.history(number)
    return Key(str(history["notification"]["enterprise_id"]), number) if history else None


async def _nobody_has(desk: Desk, ids: Sequence[int], wait: float, told: _Told) -> bool:
    """Tell the outcome of each as it is known; whether all are such that nobody has it."""
    open_ids, outcomes = list(ids), set[Retraction]()
    try:
        async with asyncio.timeout(wait):
            while open_ids:
                outcomes |= await _tell_outcomes(desk, open_ids, told)
                await asyncio.sleep(POLL if open_ids else 0)
    except TimeoutError:
        for number in open_ids:
            err.print(f"not known after {wait:g} s; look at: xnovu show {number}")
    return not open_ids and outcomes <= NOBODY


async def _tell_outcomes(desk: Desk, open_ids: list[int], told: _Told) -> set[Retraction]:
    """Tell those that are known and take them off the list."""
    known: set[Retraction] = set()
    for number in list(open_ids):
        history = await desk.history(number)
        if outcome := history and history["notification"]["retraction_outcome"]:
            open_ids.remove(number)
            known.add(Retraction(outcome))
            told.outcome(number, str(outcome))
    return known
