"""What XNovu itself says, in a process of its own or as a guest in another's."""

import logging
import sys
from collections.abc import Iterator
from typing import TextIO

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor, ProcessorReturnValue, WrappedLogger

from xnovu.adapters.logs.lines import explain, hide

FIRST: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
)
"""What every line carries, whoever wrote it."""

NAME = "xnovu"


class Ours(logging.Handler):
    """A handler that reads lines with their fields apart; anybody else's is given a text."""


def logger() -> BoundLogger:
    """XNovu's own logger; it depends on no set-up of structlog's, and changes none."""
    processors = [structlog.stdlib.filter_by_level, *FIRST, _addressed]
    return BoundLogger(logging.getLogger(NAME), processors, {})


def speak_up(name: str, level: str) -> None:
    """
    Let one of XNovu's loggers say more (or less) than the host's own level has it say.

    Nothing of the host's logging is touched. While it has none at all, lines go to stderr.
    """
    speaker = logging.getLogger(name)
    speaker.setLevel(level.upper())
    top = logging.getLogger(NAME)
    if not any(isinstance(each, _LastResort) for each in top.handlers):
        top.addHandler(_LastResort())


def namespaces(debug: str) -> Iterator[str]:
    """
    Which of XNovu's loggers a value of ``DEBUG`` wants to hear.

    It is a list by commas, other programs' words among it: ``xnovu:subscription``, ``xnovu:*``
    or ``*`` (https://github.com/debug-js/debug#conventions).
    """
    for asked in debug.replace(",", " ").split():
        name = asked.replace(":", ".").removesuffix("*").rstrip(".") or NAME
        if name.split(".")[0] == NAME:
            yield name


class _LastResort(logging.StreamHandler[TextIO]):
    """Standard error, as long as the process has no handler of its own."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        listening = [*logging.getLogger().handlers, *logging.getLogger(NAME).handlers]
        if listening == [self]:
            super().emit(record)


def _addressed(to: WrappedLogger, method: str, fields: EventDict) -> ProcessorReturnValue:
    """A line for who will read it."""
    if any(isinstance(each, Ours) for each in logging.getLogger().handlers):
        return ProcessorFormatter.wrap_for_formatter(to, method, fields)
    # What was raised is in the words; the trace that logging would add shows messages.
    return (_in_words(hide(to, method, explain(to, method, fields))),), {"exc_info": False}


def _in_words(fields: EventDict) -> str:
    event, *_ = (fields.pop(name, "") for name in ("event", "level", "logger"))
    return " ".join((str(event), *(f"{name}={value}" for name, value in fields.items())))
