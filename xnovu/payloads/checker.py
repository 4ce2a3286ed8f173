"""
Checks of a payload against the JSON Schema its workflow registered.

What is surely cheap is checked at once; all else by a process of its own, which may take only so
long. Which of both is decided once for a schema, by what it may ask for.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from xnovu.errors import Permanent, Retryable
from xnovu.events import Workflow
from xnovu.payloads import cost
from xnovu.payloads.bounds import RowOptions
from xnovu.payloads.cost import Cost, Schema
from xnovu.payloads.processes import Checkers, End, Heard
from xnovu.payloads.worker import LISTED, Compiled, compiled, misplaced
from xnovu.redaction import redact

AT_ONCE = 1_000_000
"""Subschemas times bytes of a payload that are checked at once: a few milliseconds."""
LISTED_AT_ONCE = 2_000
"""And that are gone through once more for a list of what is wrong, which takes far longer."""
REMEMBERED = 1_000
"""Schemas that are kept, compiled."""
_LONG = re.compile(rb"\d{40}")
"""A number of so many digits (or any text with such a one)."""
WAIT = 1.0
"""Seconds until a payload comes again whose turn to be checked did not come."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A schema, what it may ask for, and compiled if that is little; ``fault``: it is no good."""

    schema: Schema
    text: bytes
    cost: Cost
    validator: Compiled | None = None
    fault: Permanent | None = None

    def takes(self, payload: bytes) -> float:
        """How long a check may take, roughly; arithmetic with long numbers is another matter."""
        return inf if _LONG.search(payload) else self.cost.subschemas * len(payload)


@dataclass(frozen=True, slots=True)
class Check:
    """A payload that a process is to check."""

    workflow: Workflow
    schema: _Known
    payload: bytes


@dataclass(slots=True)
class PayloadChecker:
    """Looks at each workflow's schema once, and again when it has changed."""

    bounds: RowOptions = field(default_factory=RowOptions)
    _known: dict[tuple[str, str], _Known] = field(default_factory=dict[tuple[str, str], _Known])
    _checkers: Checkers = field(init=False)

    def __post_init__(self) -> None:
        self._checkers = Checkers(self.bounds)

    async def close(self) -> None:
        """End the processes."""
        await self._checkers.close()

    async def check(self, workflow: Workflow, payload: Mapping[str, Any]) -> None:
        """
        Pass, or list what is wrong with its path (RFC 6901), never with the payload's values.

        Raises:
            Permanent: as :meth:`begin` and :meth:`finish`.
        """
        if check := self.begin(workflow, payload, to_json(payload)):
            await self.finish(check)

    async def examine(self, workflow: Workflow) -> Permanent | None:
        """What is wrong with a workflow's schema, as far as that is told without a payload."""
        try:
            await self.check(workflow, {})
        except Permanent as error:
            return None if error.code == "payload_invalid" else error
        return None

    def begin(self, workflow: Workflow, payload: Mapping[str, Any], text: bytes) -> Check | None:
        """
        Check a payload (``text`` is the same as JSON), or say what check is to be finished.

        Raises:
            Permanent: ``payload_invalid``; ``schema_invalid``, ``schema_too_costly`` if it is the
                schema that cannot be used.
        """
        if workflow.payload_schema is None:
            return None
        known = self._schema(workflow, workflow.payload_schema)
        if known.fault:
            raise known.fault.with_traceback(None)
        if known.validator is None or known.takes(text) > AT_ONCE:
            return Check(workflow, known, text)
        if known.validator.is_valid(payload):
            return None
        if known.takes(text) > LISTED_AT_ONCE:
            return Check(workflow, known, text)
        raise _refusal(workflow, known.validator.violations(payload))

    async def finish(self, check: Check, until: float | None = None) -> None:
        """
        Wait for a check, not beyond ``until`` (loop time).

        Raises:
            Permanent: ``payload_invalid``, ``schema_invalid``, ``schema_too_costly``.
            Retryable: ``check_waits``: it was not its turn in time.
        """
        heard: Heard | None = None
        try:
            async with asyncio.timeout_at(until):
                ask = (check.workflow.enterprise_id, check.schema.text, check.payload)
                heard = await self._checkers.check(*ask)
        except TimeoutError:
            pass
        except OSError as error:
            raise _waits(f"no process for it: {type(error).__name__}") from None
        if heard is None:
            raise _waits("it is not its turn yet")
        self._settle(check, heard)

    def _settle(self, check: Check, heard: Heard) -> None:
        workflow = check.workflow
        match heard:
            case Heard(valid=True):
                return
            case Heard(valid=False, violations=told):
                raise _refusal(workflow, list(told), whole=heard.end is End.ANSWERED)
            case Heard(broken=str() as what):
                raise _broken(workflow, what)
            case Heard(end=End.TIME):
                much = f"{self.bounds.check_seconds:g} s of CPU time (rows.check_seconds)"
            case _:
                much = f"{self.bounds.check_memory:,} bytes (rows.check_memory)"
        raise _too_costly(workflow, f"a check takes more than {much}", check.schema.cost)

    def _schema(self, workflow: Workflow, schema: Schema) -> _Known:
        name = (workflow.enterprise_id, workflow.workflow_key)
        known = self._known.get(name)
        if known and (known.schema is schema or known.schema == schema):
            return known
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[name] = known = self._looked_at(workflow, schema)
        return known

    def _looked_at(self, workflow: Workflow, schema: Schema) -> _Known:
        try:
            text = to_json(schema)
        except (PydanticSerializationError, ValueError):
            what = _broken(workflow, "/: it cannot be written as JSON")
            return _Known(schema, b"", Cost(1), fault=what)
        if len(text) > self.bounds.max_bytes:
            size = f"it is {len(text)} bytes; {self.bounds.max_bytes} at the most (rows.max_bytes)"
            much = Cost(1)
            return _Known(schema, text, much, fault=_too_costly(workflow, size, much))
        much = cost.cost_of(schema) if len(text) <= cost.READ else Cost(inf)
        if much.is_hopeless:
            size = f"each value may be checked against {much.subschemas:.0e} subschemas"
            return _Known(schema, text, much, fault=_too_costly(workflow, size, much))
        if not much.is_cheap:
            return _Known(schema, text, much)
        try:
            return _Known(schema, text, much, compiled(schema))
        except ValueError as error:
            return _Known(schema, text, much, fault=_broken(workflow, misplaced(error)))


def _refusal(workflow: Workflow, found: list[str], *, whole: bool = True) -> Permanent:
    """A schema may name what looks private, too: a map of mail addresses, say."""
    told = [redact(each) for each in found[:LISTED]]
    if not told:
        told.append("where, takes too long to find")
    elif len(found) > LISTED or not whole:
        told.append("and more")
    return Permanent(
        f"payload breaks the schema of workflow {workflow.workflow_key!r}: {'; '.join(told)}",
        code="payload_invalid",
        violations=told,
    )


def _broken(workflow: Workflow, what: str) -> Permanent:
    return Permanent(
        f"payload_schema of workflow {workflow.workflow_key!r} is not a usable JSON Schema: "
        f"{redact(what)}; {_WAY_OUT}",
        code="schema_invalid",
    )


def _too_costly(workflow: Workflow, what: str, much: Cost) -> Permanent:
    place = f" (see {redact(much.at)})" if much.at else ""
    return Permanent(
        f"payload_schema of workflow {workflow.workflow_key!r} asks for too much: "
        f"{what}{place}; {_WAY_OUT}",
        code="schema_too_costly",
    )


_WAY_OUT = "mend it in notify.ent_notification_workflow and re-drive the notification"


def _waits(why: str) -> Retryable:
    message = f"its payload waits to be checked: {why}"
    return Retryable(message, code="check_waits", after=WAIT, bounded=False)
