"""Set up logging once for the whole process, other libraries' included."""

import logging
import sys
import threading
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from xnovu.adapters.logs.lines import explain, hide, quote, stamp
from xnovu.adapters.logs.speech import FIRST, Ours
from xnovu.errors import ConfigurationError

Output = Literal["json", "console", "auto"]

_CHATTY = ("httpx", "httpcore", "nats", "faststream", "uvicorn", "psycopg")
# What it says when debugging is headers, cookies and all.
_INDISCREET = ("httpcore",)


def configure(level: str = "info", output: Output = "auto") -> None:
    """
    Set up all logging of the process, other libraries' included, to stderr.

    ``auto`` is JSON unless stderr is a terminal. Handlers that libraries have given their loggers
    so far are taken away, so call it after the imports. Raises ConfigurationError for a level
    that is none.
    """
    number = _number(level)
    handler = _Handler(sys.stderr)
    handler.setFormatter(_formatter(as_json=_is_json(output)))
    _rewire(handler, number)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *FIRST,
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    sys.excepthook = _crashed
    threading.excepthook = lambda told: _crashed(told.exc_type, told.exc_value, told.exc_traceback)


def _number(level: str) -> int:
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise ConfigurationError(
            f"there is no log level {level!r}: choose debug, info, warning, error or critical"
        )
    return levels[level.upper()]


def _is_json(output: Output) -> bool:
    return output == "json" or (output == "auto" and not sys.stderr.isatty())


def _formatter(*, as_json: bool) -> ProcessorFormatter:
    """Everything that is written passes here, whoever said it: the one place to take care."""
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return ProcessorFormatter(
        foreign_pre_chain=FIRST,
        processors=[
            quote,
            ProcessorFormatter.remove_processors_meta,
            explain,
            stamp,
            hide,
            renderer,
        ],
    )


def _rewire(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in [*root.manager.loggerDict, *_CHATTY]:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _CHATTY:
        quiet = level > logging.DEBUG or name in _INDISCREET
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.NOTSET)


class _Handler(Ours, logging.StreamHandler[TextIO]):
    """A handler that, when a line cannot be written, does not print its arguments instead."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        if record.name != __name__:
            logging.getLogger(__name__).error("a line of %s could not be written", record.name)


def _crashed(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Python's last word on an error that nobody caught; its own would show the message."""
    if issubclass(kind, Exception):
        error = error or kind()
        logging.getLogger("xnovu").critical("crashed", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error or kind(), trace)
