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
from itertools import chain, islice
from typing import Any, BinaryIO

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

Schemas = dict[bytes, jsonschema_rs.Validator]

_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)


def compiled(schema: Any) -> jsonschema_rs.Validator:
    """
    A schema, ready to check with; no error of it shows a value of the payload.

    Raises:
        ValueError: it is no JSON Schema, or refers to another address.
    """
    try:
        return jsonschema_rs.validator_for(
            schema, retriever=_refuse, mask="the value", pattern_options=_PATTERNS
        )
    except jsonschema_rs.ReferencingError as error:
        raise ValueError(str(error)) from None


def misplaced(error: ValueError) -> str:
    """Where in a schema it is that makes it none, and what is wrong there."""
    if isinstance(error, jsonschema_rs.ValidationError):
        return _told(error)
    return _short(f"/: {error}")


def violations(validator: jsonschema_rs.Validator, payload: Any) -> list[str]:
    """What breaks the schema, each with its path; jsonschema-rs makes all before it gives one."""
    return [_told(error) for error in islice(validator.iter_errors(payload), LISTED + 1)]


def _first(validator: jsonschema_rs.Validator, payload: Any) -> str:
    try:
        validator.validate(payload)
    except jsonschema_rs.ValidationError as error:
        return _told(error)
    return "/: not valid"


def pointer(steps: Iterable[object]) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _refuse(uri: str) -> Any:
    """A schema of one enterprise must not make us fetch addresses."""
    raise ValueError(f"remote reference {uri!r} is not followed")


def _told(error: jsonschema_rs.ValidationError) -> str:
    return _short(f"{pointer(error.instance_path) or '/'}: {error.message}")


def _short(text: str) -> str:
    """No word is cut off: half of an address would not be known for one."""
    return text if len(text) <= TOLD else text[:TOLD].rpartition(" ")[0] + " …"


def answers(schemas: Schemas, schema: bytes, payload: bytes) -> Iterator[tuple[str, ...]]:
    """What there is to say of a payload, as soon as it is known."""
    try:
        validator = schemas.pop(schema, None) or compiled(json.loads(schema))
    except ValueError as error:
        yield "schema", misplaced(error)
        return
    schemas[schema] = validator
    if len(schemas) > KEPT:
        del schemas[next(iter(schemas))]
    yield ("compiled",)
    value = json.loads(payload)
    if validator.is_valid(value):
        yield ("valid",)
        return
    yield ("invalid",)
    yield "violations", _first(validator, value)  # soon, if not at once
    yield ("violations", *violations(validator, value))


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
