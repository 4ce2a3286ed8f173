"""
The ways work can fail.

An adapter translates its vendor's exceptions into one of these at its own edge, with a message
that holds no payload, recipient or key; ``Policy.judge`` turns them into a fate. Nothing in
between catches them.
"""

import sysconfig
from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb

_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")
_LIBRARIES = tuple({*(sysconfig.get_paths()[name] for name in _PATHS), "<frozen"})
LOCKED = 0.5
"""Seconds after which a row is tried again that another session had locked."""


class XNovuError(Exception):
    """
    Root of every error this package raises on purpose.

    ``code`` is the error's class in one word, stable, for rules, metrics and ``error_details``.
    The message is safe to log and to store.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Retryable(XNovuError):
    """
    The world was not ready; the same work may succeed later.

    ``after`` is the least number of seconds to wait, where the other side or a rule says so.
    Work is given up after so many tries unless ``bounded`` is False: then it was not its fault.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "retry",
        after: float | None = None,
        bounded: bool = True,
    ) -> None:
        super().__init__(message, code=code)
        self.after = after
        self.bounded = bounded


def still_locked() -> Retryable:
    """What is said of a row that another session holds locked: it is nobody's fault."""
    message = "another session holds the row locked"
    return Retryable(message, code="row_locked", after=LOCKED, bounded=False)


class Unclear(Retryable):
    """It may have been done, or not: whoever does it again looks first."""


class Missing(Retryable):
    """
    A look-up did not find it, and the call did not allow it to be done now.

    It is not ``certain`` where there is no look-up: it may be there all the same.
    """

    def __init__(self, message: str, *, certain: bool = True) -> None:
        super().__init__(message, code="provider_unclear", bounded=False)
        self.certain = certain


class Permanent(XNovuError):
    """The work itself is wrong; repeating it cannot help. ``violations`` lists every fault."""

    def __init__(self, message: str, *, code: str, violations: Sequence[str] = ()) -> None:
        super().__init__(message, code=code)
        self.violations = tuple(violations)


class Expired(XNovuError):
    """The work is past its deadline and no longer wanted."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="expired")


class Paused(XNovuError):
    """
    The work is fine, the other side is not: bad key, rate limit, service or database down.

    The stage keeps the work in hand, takes no more, and tries again; no attempt is spent.
    ``after`` is the least number of seconds to wait.
    """

    def __init__(self, message: str, *, code: str = "paused", after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.after = after


class ConfigurationError(Paused):
    """The installation is wrong: a setting, a missing stream, a schema that was not migrated."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="configuration")


def describe(error: BaseException) -> str:
    """What an error says, safe to log: our own message, or of a stranger its type and its place."""
    if isinstance(error, XNovuError):
        return str(error)
    place = place_in_code(error)
    return f"{type(error).__qualname__} at {place}" if place else type(error).__qualname__


def place_in_code(error: BaseException) -> str:
    """
    Where an error was raised, as ``folder/file.py:line``; empty if that is not known.

    The innermost line that is no library's is where to look; else the innermost.
    """
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    own = [each for each in frames if not each[0].startswith(_LIBRARIES)]
    if not frames:
        return ""
    file, line = (own or frames)[-1]
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"
