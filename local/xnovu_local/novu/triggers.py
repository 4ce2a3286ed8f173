"""
Reads trigger requests as Novu does: what is a trigger, who it is for, and what is wrong with it.

This is the hot path of a benchmark, so it checks by hand instead of building models.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from .answers import MISSING, Problem, encoded, invalid

MAX_EVENT = 512 * 1024
MAX_RECIPIENTS = 100
MAX_EVENTS = 100

Event = dict[str, Any]
Errors = dict[str, tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that is not JSON."""

    reason: str


def parsed(body: bytes, content_type: str) -> object:
    """The JSON of a body; like Novu, anything not declared to be JSON is an empty object."""
    if "json" not in content_type or not body:
        return {}
    try:
        return json.loads(body)
    except ValueError as error:
        return Unreadable(str(error))


def events_in(document: object, bulk: bool) -> list[Any]:
    """The events of a request, unchecked."""
    if not bulk:
        return [document]
    events = cast("Event", document).get("events") if isinstance(document, dict) else None
    return cast("list[Any]", events) if isinstance(events, list) else []


def problem_of(document: object, body_size: int, bulk: bool) -> Problem | None:
    """Why the whole request is turned down, or None."""
    if isinstance(document, Unreadable):
        return Problem(400, document.reason)
    events = events_in(document, bulk)
    if bulk and (problem := _problem_of_list(document, events)):
        return problem
    errors: Errors = {}
    for index, event in enumerate(events):
        if faulty := _errors(event):
            prefix = f"events.{index}." if bulk else ""
            errors |= {prefix + field: error for field, error in faulty.items()}
    if errors:
        return invalid(errors)
    return _too_many_recipients(events, bulk) or _too_large(events, body_size, bulk)


def _problem_of_list(document: object, events: list[Any]) -> Problem | None:
    given = cast("Event", document).get("events", MISSING) if isinstance(document, dict) else None
    if not isinstance(given, list):
        return invalid({"events": ("events must be an array", given)})
    if not events:
        return invalid({"events": ("events must contain at least 1 elements", MISSING)})
    if len(events) > MAX_EVENTS:
        text = f"events must contain no more than {MAX_EVENTS} elements"
        return invalid({"events": (text, MISSING)})
    return None


def _errors(event: object) -> Errors:
    """The fields of one event that have the wrong type."""
    if not isinstance(event, dict):
        return {"event": ("event must be an object", event)}
    fields = cast("Event", event)
    get = fields.get
    if (
        type(get("name")) is str
        and get("to") is not None
        and type(get("payload", fields)) is dict
        and type(get("overrides") or fields) is dict
        and type(get("transactionId") or "") is str
    ):
        return {}
    return dict(_wrong_fields(fields))


def _wrong_fields(event: Event) -> Iterator[tuple[str, tuple[str, object]]]:
    if not isinstance(event.get("name"), str):
        yield "name", ("name must be a string", event.get("name", MISSING))
    if event.get("to") is None:
        yield "to", ("to should not be null or undefined", event.get("to", MISSING))
    if not isinstance(event.get("payload", {}), dict):
        yield "payload", ("payload must be an object", event["payload"])
    if not isinstance(event.get("overrides") or {}, dict):
        yield "overrides", ("overrides must be an object", event["overrides"])
    if not isinstance(event.get("transactionId") or "", str):
        yield "transactionId", ("transactionId must be a string", event["transactionId"])


def _too_many_recipients(events: Iterable[Event], bulk: bool) -> Problem | None:
    for index, event in enumerate(events):
        to = event["to"]
        if isinstance(to, list) and len(cast("list[Any]", to)) > MAX_RECIPIENTS:
            field = f"events.{index}.to" if bulk else "to"
            return Problem(400, f"{field} must contain no more than {MAX_RECIPIENTS} recipients")
    return None


def _too_large(events: list[Event], body_size: int, bulk: bool) -> Problem | None:
    if body_size <= MAX_EVENT:
        return None
    for index, event in enumerate(events):
        if len(encoded(event)) > MAX_EVENT:
            which = f"Event at index {index}" if bulk else "Event"
            return Problem(413, f"{which} exceeds the maximum size of {MAX_EVENT // 1024} KB")
    return None


def subscribers_of(to: object) -> tuple[str, ...]:
    """Who an event is for, everybody once; recipients that make no sense are left out."""
    if not isinstance(to, list):
        name = _subscriber(to)
        return (name,) if name else ()
    named = map(_subscriber, cast("list[Any]", to))
    return tuple(dict.fromkeys(name for name in named if name))


def _subscriber(recipient: object) -> str | None:
    """A recipient's id; a topic, whose members nobody knows here, stands for itself."""
    if isinstance(recipient, str):
        return recipient
    if not isinstance(recipient, dict):
        return None
    fields = cast("Event", recipient)
    if fields.get("type") == "Topic":
        key = fields.get("topicKey")
        return f"topic:{key}" if isinstance(key, str) else None
    name = fields.get("subscriberId")
    return name if isinstance(name, str) else None
