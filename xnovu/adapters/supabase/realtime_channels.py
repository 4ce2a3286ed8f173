"""What is asked of Realtime: rows that are new, retracted, or to be sent again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realtime.types import RealtimePostgresChangesListenEvent as Kind

SCHEMA, TABLE = "notify", "ent_notification"
KEY, STATUS = "id", "notification_status"
OTHERS_DO = f"{STATUS}=in.(PENDING,RETRACTED)"
OWN_WORK = frozenset({"PROCESSING", "SENT", "FAILED"})
"""Statuses that only XNovu writes: nobody need be woken for them."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One kind of change, the rows it is wanted of, and the columns that are sent with it."""

    kind: Kind
    filter: str | None
    select: tuple[str, ...] = (KEY,)


Channels = Mapping[str, Sequence[Binding]]
"""The name of each channel, and what it tells."""


def channels(enterprises: Sequence[str], *, one_filter: bool = False) -> Channels:
    """
    One channel for each enterprise, or one for all of them if none is named.

    Several filters in one binding, joined by commas, are understood by servers since May 2026. An
    older one reads all of it as the value of the first filter; that of the status stands first
    because it is then refused, while an enterprise's would silently never match. ``one_filter`` is
    for such a server: every update of the enterprise then comes, with its status.
    """
    if not enterprises:
        return {"xnovu": (Binding(Kind.Insert, None), Binding(Kind.Update, OTHERS_DO))}
    return {f"xnovu-{each}": _bindings(each, one_filter=one_filter) for each in enterprises}


def is_own_work(kind: str, record: Mapping[str, Any] | None) -> bool:
    """Whether a change is XNovu's own; one that does not tell may be anyone's."""
    return kind == Kind.Update.value and (record or {}).get(STATUS) in OWN_WORK


def _bindings(enterprise: str, *, one_filter: bool) -> Sequence[Binding]:
    mine = f"enterprise_id=eq.{enterprise}"
    changed = (
        Binding(Kind.Update, mine, (KEY, STATUS))
        if one_filter
        else Binding(Kind.Update, f"{OTHERS_DO},{mine}")
    )
    return Binding(Kind.Insert, mine), changed
