"""
A process that checks payloads against schemas, whatever they are: it may be killed at any time.

It reads requests from standard input (two lengths in eight bytes each, a schema, a payload), and
answers each in lines of JSON, the last of which is ``["end"]``. The system ends it when a request
has used up its CPU time (SIGPROF) or its memory, also if nobody waits for it any more. It imports
nothing of XNovu, and is run as a file.
"""

import json
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO, cast

import jsonschema_rs

LISTED = 20
"""How many violations are told one by one."""
TOLD = 2_000
"""Characters of one at the most; names in a payload may be long."""
LISTING = 4
"""The list of what is wrong may take this part of the time of a check."""
KEPT = 8
"""Compiled schemas at the most."""
HEADER = struct.Struct("!QQ")

MARK = "…"
"""Stands for a name that only the payload has: it may be a person's, or an address."""

_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A schema, ready to check with, and the names that stand in it."""

    validator: jsonschema_rs.Validator
    names: frozenset[str]

    def is_valid(self, payload: Any) -> bool:
        return self.validator.is_valid(payload)

    def violations(self, payload: Any) -> list[str]:
        """
        What breaks the schema, each with its path; of the payload no more than the schema's names.

        jsonschema-rs makes all before it gives one.
        """
        found = islice(self.validator.iter_errors(payload), LISTED + 1)
        return [self._told(error) for error in found]

    def first(self, payload: Any) -> str:
        """The first of them that there is."""
        try:
            self.validator.validate(payload)
        except jsonschema_rs.ValidationError as error:
            return self._told(error)
        return "/: not valid"

    def _told(self, error: jsonschema_rs.ValidationError) -> str:
        steps = [self._step(step) for step in error.instance_path]
        return _short(f"{pointer(steps) or '/'}: {_fault(error)}")

    def _step(self, step: str | int) -> str | int:
        return step if isinstance(step, int) or step in self.names else MARK


Schemas = dict[bytes, Compiled]


def compiled(schema: Any) -> Compiled:
    """
    A schema, ready to check with; no error of it shows a value of the payload.

    Raises:
        ValueError: it is no JSON Schema, or refers to another address.
    """
    try:
        validator = jsonschema_rs.validator_for(
            schema, retriever=_refuse, mask="the value", pattern_options=_PATTERNS
        )
    except jsonschema_rs.ReferencingError as error:
        raise ValueError(str(error)) from None
    return Compiled(validator, frozenset(_names(schema)))


def _names(schema: Any) -> Iterator[str]:
    """All names that a schema holds, its keywords among them."""
    pending = [schema]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            fields = cast("dict[str, Any]", each)
            yield from fields
            pending.extend(fields.values())
        elif isinstance(each, list | tuple):
            pending.extend(cast("Sequence[Any]", each))


_Kind = jsonschema_rs.ValidationErrorKind


def _fault(error: jsonschema_rs.ValidationError) -> str:
    """What is wrong; the mask spares values, and where the fault is a name, not even that."""
    match error.kind:
        case (
            _Kind.AdditionalProperties(unexpected=names)
            | _Kind.UnevaluatedProperties(unexpected=names)
        ):
            return f"properties that the schema does not name are not allowed ({len(names)} here)"
        case _Kind.AdditionalItems() | _Kind.UnevaluatedItems():
            return "more items are not allowed"
        case _Kind.PropertyNames(error=fault):
            return f"a property's name: {_fault(fault)}"
        case _:
            return error.message


def misplaced(error: ValueError) -> str:
    """Where in a schema it is that makes it none, and what is wrong there."""
    if isinstance(error, jsonschema_rs.ValidationError):
        return _short(f"{pointer(error.instance_path) or '/'}: {error.message}")
    return _short(f"/: {error}")


def pointer(steps: Iterable[object]) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _refuse(uri: str) -> Any:
    """A schema of one enterprise must not make us fetch addresses."""
    raise ValueError(f"remote reference {uri!r} is not followed")


def _short(text: str) -> str:
    """No word is cut off: half of an address would not be known for one."""
    return text if len(text) <= TOLD else text[:TOLD].rpartition(" ")[0] + " …"


def answers(schemas: Schemas, schema: bytes, payload: bytes) -> Iterator[tuple[str, ...]]:
    """What there is to say of a payload, as soon as it is known."""
    try:
        known = schemas.pop(schema, None) or compiled(json.loads(schema))
    except ValueError as error:
        yield "schema", misplaced(error)
        return
    schemas[schema] = known
    if len(schemas) > KEPT:
        del schemas[next(iter(schemas))]
    yield ("compiled",)
    value = json.loads(payload)
    if known.is_valid(value):
        yield ("valid",)
        return
    yield ("invalid",)
    yield "violations", known.first(value)  # soon, if not at once
    yield ("violations", *known.violations(value))


def serve(requests: BinaryIO, replies: BinaryIO, seconds: float) -> None:
    """Answer requests until there are no more; what is wrong may be listed for a shorter time."""
    schemas: Schemas = {}
    while header := requests.read(HEADER.size):
        schema, payload = map(requests.read, HEADER.unpack(header))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        for answer in chain(answers(schemas, schema, payload), [("end",)]):
            replies.write(json.dumps(answer).encode() + b"\n")
            replies.flush()
            if answer == ("invalid",):
                signal.setitimer(signal.ITIMER_PROF, seconds / LISTING)
        signal.setitimer(signal.ITIMER_PROF, 0)


def main(arguments: Sequence[str]) -> None:
    """Serve, within so many seconds of CPU time for each request, and so many bytes of memory."""
    seconds, memory = float(arguments[0]), int(arguments[1])
    for each in (signal.SIGINT, signal.SIGTERM):  # the end of its input is its end
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF,))
    for each, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, memory)):
        with suppress(ValueError, OSError):  # macOS has no such limit
            resource.setrlimit(each, (most, most))
    sys.set_int_max_str_digits(0)
    serve(sys.stdin.buffer, sys.stdout.buffer, seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
