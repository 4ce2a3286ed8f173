"""What Postgres complains of, in XNovu's words: SQLSTATE and column, never a value or a detail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xnovu.errors import ConfigurationError, Paused, Permanent, Retryable, XNovuError

UNAVAILABLE = "store_unavailable"


class AnswerLost(Paused):
    """The database was asked, but what it answered is not known: it may have been done."""

    def __init__(self, message: str, *, code: str = UNAVAILABLE) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the database said, by whichever way it came."""

    state: str
    message: str | None = None
    hint: str | None = None
    column: str | None = None
    constraint: str | None = None


def translate(complaint: Complaint) -> XNovuError:
    """The class of a complaint, by its SQLSTATE."""
    for states, explain in RULES:
        if complaint.state.startswith(states):
            return explain(complaint)
    return Retryable(f"the database failed ({complaint.state})", code="store_failed")


def _away(said: Complaint) -> XNovuError:
    return Paused(f"the database is not available ({said.state})", code=UNAVAILABLE)


def _forbidden(said: Complaint) -> XNovuError:
    # "permission denied for table …": names an object, never a value.
    return Paused(f"the database refuses: {said.message}", code="store_forbidden")


def _busy(said: Complaint) -> XNovuError:
    return Retryable(f"the database was busy ({said.state})", code="store_busy")


def _not_migrated(said: Complaint) -> XNovuError:
    return ConfigurationError(f"the database is not migrated ({said.state}): run `xnovu migrate`")


def _installed_wrong(said: Complaint) -> XNovuError:
    return ConfigurationError(". ".join(part for part in (said.message, said.hint) if part))


def _row_refused(said: Complaint) -> XNovuError:
    return Permanent(said.message or "refused", code="invalid_row")


def _refused(said: Complaint) -> XNovuError:
    what = "a value"
    if said.column:
        what = f'the value of column "{said.column}"'
    elif said.constraint:
        what = f'a row by constraint "{said.constraint}"'
    return Permanent(f"the database refused {what} ({said.state})", code="invalid_row")


RULES: Sequence[tuple[tuple[str, ...], Callable[[Complaint], XNovuError]]] = (
    # Connection gone, server full, going down or on stand-by, password wrong, database not there.
    (("08", "53", "57P", "58", "28", "3D", "25006"), _away),
    (("42501",), _forbidden),  # a grant is missing: no row's fault either
    (("40", "55P03", "57014"), _busy),  # deadlock, serialization; lock and statement timeout
    (("42883", "42P01", "42703", "42704", "3F000"), _not_migrated),
    (("XN001",), _installed_wrong),  # these two are our own SQL's, their messages safe to show
    (("XN002",), _row_refused),
    (("22", "23", "428C9"), _refused),  # the last: a value for a column that makes its own
)
