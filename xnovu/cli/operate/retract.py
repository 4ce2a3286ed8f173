"""Takes notifications back, and tells what that has achieved."""

import asyncio
from collections.abc import Sequence

from xnovu.cli.console import err, out
from xnovu.cli.operate.operator import operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Desk
from xnovu.events import Key, Retraction

POLL = 0.2
NOBODY = frozenset({Retraction.STOPPED, Retraction.CANCELLED})
"""Outcomes after which nobody has it."""


async def take_back(ids: Sequence[int], reason: str, *, wait: float, who: str | None) -> int:
    """
    Retract, print each, and wait for the outcomes if asked to.

    The exit code is 1 if one is not there, or, after waiting, if somebody has one or may get it.
    """
    async with opened_store(load(), "retract") as store:
        keys = {number: await _key(store, number) for number in dict.fromkeys(ids)}
        found = [key for key in keys.values() if key]
        changed = {key.notification_id for key in await store.retract(found, reason)}
        told = {"reason": reason, "ids": sorted(changed)}
        await store.note_operation(operator(who), "retract", len(changed), told)
        for number, key in keys.items():
            _tell(number, there=key is not None, changed=number in changed)
        nobody = not wait or await _nobody_has(store, [key.notification_id for key in found], wait)
    return 0 if nobody and len(found) == len(keys) else 1


def _tell(number: int, *, there: bool, changed: bool) -> None:
    if changed:
        out.print(number, "retracted")
    elif there:
        out.print(number, "was retracted before")
    else:
        err.print(f"no notification {number} in notify.ent_notification")


async def _key(desk: Desk, number: int) -> Key | None:
    history = await desk.history(number)
    return Key(str(history["notification"]["enterprise_id"]), number) if history else None


async def _nobody_has(desk: Desk, ids: Sequence[int], wait: float) -> bool:
    """Tell the outcome of each as it is known; whether all are such that nobody has it."""
    open_ids, outcomes = list(ids), set[Retraction]()
    try:
        async with asyncio.timeout(wait):
            while open_ids:
                outcomes |= await _tell_outcomes(desk, open_ids)
                await asyncio.sleep(POLL if open_ids else 0)
    except TimeoutError:
        for number in open_ids:
            err.print(f"not known after {wait:g} s; look at: xnovu show {number}")
    return not open_ids and outcomes <= NOBODY


async def _tell_outcomes(desk: Desk, open_ids: list[int]) -> set[Retraction]:
    """Tell those that are known and take them off the list."""
    known: set[Retraction] = set()
    for number in list(open_ids):
        history = await desk.history(number)
        if outcome := history and history["notification"]["retraction_outcome"]:
            open_ids.remove(number)
            known.add(Retraction(outcome))
            out.print(number, outcome)
    return known
