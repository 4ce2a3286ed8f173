"""
What a line of the log may say.

Four steps, in this order, for every line whoever wrote it: ``quote``, ``explain``, ``stamp``,
``hide``.
"""

import inspect
import logging
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import islice
from types import TracebackType
from typing import Any, cast
from uuid import UUID

from structlog.typing import EventDict, WrappedLogger

from xnovu.errors import XNovuError, describe
from xnovu.redaction import MARK, phrases_in, redact

HIDDEN = "[redacted]"
_HIDDEN_NAME = re.compile(
    r"^(?!workflow_key$)(?:.*_)?(?:payload|recipient|subscriber|authorization|apikey|key|token|secret"
    r"|password|passwd|dsn|credential|cookie|overrides|email|phone)s?(?:_.*)?$|^(?:to|body|headers)$"
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OURS = "xnovu"
_KNOWN = re.compile(
    r"Task exception was never retrieved|Future exception was never retrieved"
    r"|Task was destroyed but it is pending!|Exception in callback"
    r"|Unhandled exception in event loop"
    r"|Fatal (?:read|write) error on (?:socket|pipe) transport"
    r"|Error on transport creation for incoming connection"
    r"|socket.accept\(\) out of system resource|socket.send\(\) raised exception",
    re.ASCII,
)
"""What asyncio says, which puts its lines together."""
_DEEPEST = 6
_LONGEST = 50


def quote(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """Of a stranger's line tell what stands in his source, not what he put into it."""
    record = fields.get("_record")
    if fields["_from_structlog"] or str(fields["logger"]).split(".")[0] == _OURS:
        return fields
    fields["event"] = _wording(record) if isinstance(record, logging.LogRecord) else MARK
    return fields


def _wording(record: logging.LogRecord) -> str:
    """A template that is a constant of the code that logs it; else what is known, and where."""
    if isinstance(record.msg, str) and record.msg in _constants(record):
        return record.msg
    return f"{phrases_in(str(record.msg), _KNOWN)} ({record.module}:{record.lineno})"


def _constants(record: logging.LogRecord) -> Collection[object]:
    """Those of the function that is logging just now."""
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        code = frame.f_code
        if frame.f_lineno == record.lineno and code.co_filename == record.pathname:
            return code.co_consts
    return ()


def explain(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """Put an exception in words: what and where, never a stranger's message or a local."""
    for rendered in ("stack_info", "stack", "exception"):
        fields.pop(rendered, None)
    if error := _raised(fields.pop("exc_info", None)):
        chain = list(islice(_chain(error), _DEEPEST))
        fields["raised"] = {
            "type": type(error).__qualname__,
            **({"message": str(error)} if isinstance(error, XNovuError) else {}),
            "at": list(_frames(error.__traceback__)),
            **({"after": chain[1:]} if chain[1:] else {}),
        }
    return fields


def _raised(told: object) -> BaseException | None:
    match told:
        case BaseException():
            return told
        case True:
            return sys.exception()
        case tuple():
            return _raised(cast("tuple[object, ...]", told)[1])
        case _:
            return None


def _chain(error: BaseException | None) -> Iterator[str]:
    """An error, what it was raised from, and the members of a group."""
    while error:
        yield describe(error)
        if isinstance(error, BaseExceptionGroup):
            members = cast("BaseExceptionGroup[BaseException]", error).exceptions
            for member in members:
                yield from _chain(member)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(trace: TracebackType | None) -> Iterator[str]:
    """Our own frames, the innermost last, as ``package.module:line:function``."""
    for frame, line in traceback.walk_tb(trace):
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".")[0] == _OURS:
            yield f"{module}:{line}:{frame.f_code.co_name}"


def stamp(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """Begin the line with when, how bad and what."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    level, event = fields.pop("level"), fields.pop("event", "")
    return {"timestamp": now, "level": level, "event": event, **fields}


def hide(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """Let through what a line may show, at any depth."""
    return cast("EventDict", _shown(fields))


def _shown(value: object, depth: int = 0) -> object:
    """What may be shown of a value; of a type that we do not know, nothing but its name."""
    match value:
        case None | bool() | int() | float():
            return value
        case str() | UUID():
            return redact(str(value))
        case date():
            return value.isoformat()
        case BaseException():
            return redact(describe(value))
        case Mapping() | list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return _shown_inside(cast("Mapping[Any, Any] | Iterable[Any]", value), depth + 1)
        case _:
            return f"<{type(value).__qualname__}>"


def _shown_inside(value: Mapping[Any, Any] | Iterable[Any], depth: int) -> object:
    if not isinstance(value, Mapping):
        return [_shown(item, depth) for item in islice(value, _LONGEST)]
    fields = cast("Mapping[Any, Any]", value)
    return {
        redact(str(name)): HIDDEN if _hidden(str(name)) else _shown(item, depth)
        for name, item in islice(fields.items(), _LONGEST)
    }


def _hidden(name: str) -> bool:
    """Whether a field of this name is private, however spelled (``X-Api-Key``, ``apiKey``)."""
    return bool(_HIDDEN_NAME.match(_CAPITAL.sub("_", name).replace("-", "_").lower()))
