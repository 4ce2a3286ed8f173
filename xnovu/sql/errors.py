"""What Postgres complains of, in XNovu's words: SQLSTATE and column, never a value or a detail."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xnovu.errors import ConfigurationError, Paused, Permanent, XNovuError
from xnovu.redaction import MARK
from xnovu.sql.schema import functions

UNAVAILABLE = "store_unavailable"
SCHEMA = "notify"
TABLES = (
    *("ent_notification", "ent_notification_workflow", "ent_notification_audit"),
    *("xnovu_claim", "xnovu_enterprise", "xnovu_function", "xnovu_migration"),
    *("xnovu_sending", "xnovu_set_aside", "xnovu_untold"),
    *("xnovu_delivery", "xnovu_mailbox", "xnovu_message"),
)
_OF_SENDERS = re.compile(
    r"(table ent_notification|sequence \S+)$|function (enqueue|xnovu_misfit|xnovu_refuse_unknown)$"
)
"""What is done in the caller's own right: he inserts. All else is a function of the owner's."""
LOCKED = "store_locked"
"""What others have locked was waited for in vain."""


class AnswerLost(Paused):
    """The database was asked, but what it answered is not known: it may have been done."""

    def __init__(self, message: str, *, code: str = UNAVAILABLE) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the database said, by whichever way it came; names of things, but for two messages."""

    state: str
    message: str | None = None
    hint: str | None = None
    column: str | None = None
    constraint: str | None = None
    table: str | None = None
    routine: str | None = None
    role: str | None = None
    """Who asked, where that is known."""


def translate(complaint: Complaint) -> XNovuError:
    """
    Who is at fault: nobody, which is waited for, or somebody, who is refused alone.

    The list of what is nobody's fault is closed: whatever is not on it is somebody's.
    """
    for states, explain in (*NOBODYS, *OURS):
        if complaint.state.startswith(states) and not _is_theirs(complaint):
            return explain(complaint)
    return _refused(complaint)


def _is_theirs(said: Complaint) -> bool:
    """Whether a function of the platform's, such as a trigger for some rows, has raised it."""
    ours = not said.routine or said.routine.removeprefix("notify.") in {f.name for f in functions()}
    return said.state.startswith(OF_SCHEMA) and not ours


def outdated(state: str | None) -> bool:
    """Whether it may be but what a session remembers of tables that have changed since."""
    return (state or "").startswith(
        ("0A000", "26", "42703", "42704", "42804", "42883", "42P", "XX000")
    )


def suspect(state: str | None) -> bool:
    """Whether a session may go on failing for what happened: another server, other rules."""
    return outdated(state) or (state or "08").startswith(("08", "25", "28", "57P", "58", "XX"))


def _away(said: Complaint) -> XNovuError:
    return Paused(f"the database is not available ({said.state})", code=UNAVAILABLE)


def _read_only(said: Complaint) -> XNovuError:
    return Paused(f"the database is read-only ({said.state})", code=UNAVAILABLE)


def _full(said: Complaint) -> XNovuError:
    return Paused(f"the database has no room left ({said.state})", code=UNAVAILABLE)


def _forbidden(said: Complaint) -> XNovuError:
    denied = _permission(said)
    whom = f' role "{said.role}"' if said.role else ""
    told = f"the database refuses{whom} ({said.state}): {denied}"
    return Paused(f"{told}{_way_in(said, denied)}", code="store_forbidden")


def _way_in(said: Complaint, denied: str) -> str:
    """Which role of XNovu's is missing, where Postgres says that a right is."""
    if not said.role or not denied.startswith("permission denied for"):
        return ""
    group = "xnovu_sender" if _OF_SENDERS.search(denied) else "xnovu_stage"
    grant = f'GRANT {group} TO "{said.role}"'
    return (
        f": {grant} (`xnovu migrate --roles` makes {group});"
        " `xnovu config check --connect` names all that is needed"
    )


_PERMISSION = re.compile(r'(permission denied for|must be owner of) ([a-z ]{1,20}) "?(.+?)"?')
_KINDS = (
    *("schema", "table", "view", "relation", "column"),
    *("function", "sequence", "type", "database"),
)


def _permission(said: Complaint) -> str:
    """What of, if it is ours: anybody's function may say the like, with whatever in it."""
    found = _PERMISSION.fullmatch(said.message or "")
    if not found or found[2] not in _KINDS:
        return "a permission is missing"
    ours = {SCHEMA, *TABLES, *(function.name for function in functions())}
    name = found[3] if found[3].removeprefix(f"{SCHEMA}.") in ours else MARK
    return f"{found[1]} {found[2]} {name}"


def _busy(said: Complaint) -> XNovuError:
    return Paused(f"the database was busy ({said.state})", code="store_busy")


def _locked(said: Complaint) -> XNovuError:
    return Paused(f"others hold a lock in the database for too long ({said.state})", code=LOCKED)


def _not_migrated(said: Complaint) -> XNovuError:
    return ConfigurationError(f"the database is not migrated ({said.state}): run `xnovu migrate`")


def _changed(said: Complaint) -> XNovuError:
    return ConfigurationError(
        f"the tables' types have changed ({said.state}): run `xnovu migrate` if it does not pass"
    )


def _unprepared(said: Complaint) -> XNovuError:
    return ConfigurationError(
        f"the database forgets what was prepared ({said.state}): if a pooler shares sessions by"
        " transaction, set store.transaction_pooler = true"
    )


def _unfit(said: Complaint) -> XNovuError:
    return ConfigurationError(
        f"the database cannot change its tables as they are ({said.state}): whatever is in a"
        " publication of updates needs a primary key, or another replica identity"
    )


def _installed_wrong(said: Complaint) -> XNovuError:
    return ConfigurationError(". ".join(part for part in (said.message, said.hint) if part))


def _row_refused(said: Complaint) -> XNovuError:
    return Permanent(said.message or "refused", code="invalid_row")


def _value_refused(said: Complaint) -> XNovuError:
    what = "a value"
    if said.column:
        what = f'the value of column "{_named(said.column)}"'
    elif said.constraint:
        what = f'a row by constraint "{_named(said.constraint)}"'
    return Permanent(f"the database refused {what} ({said.state})", code="invalid_row")


def _refused(said: Complaint) -> XNovuError:
    names = {
        "table": said.table,
        "column": said.column,
        "constraint": said.constraint,
        "routine": said.routine,
    }
    known = [said.state, *(f'{what} "{_named(name)}"' for what, name in names.items() if name)]
    return Permanent(f"the database refused it ({', '.join(known)})", code="refused_by_database")


def _named(name: str) -> str:
    """The name of a thing in the database; what a function has put in its place need be none."""
    return name if _NAME.fullmatch(name) else MARK


_NAME = re.compile(r'"?[^\W\d][\w$]{0,62}"?(?:\."?[^\W\d][\w$]{0,62}"?)?')

Rules = Sequence[tuple[tuple[str, ...], Callable[[Complaint], XNovuError]]]

NOBODYS: Rules = (
    (("25006",), _read_only),  # a stand-by says so, too
    (("53100", "53200"), _full),  # disk, memory
    # Connection gone, its transaction ended, server full, going down or in recovery,
    # password wrong, database not there, storage or configuration broken.
    (("08", "25", "28", "3D", "53", "57P", "58", "F0", "XX002"), _away),
    (("40001", "40003", "40P01", "55006", "57014"), _busy),  # others' work, in the way
    (("55P03",), _locked),
    (("42501",), _forbidden),  # a grant is missing
    (("42883", "42P01", "42703", "42704", "3F000"), _not_migrated),
    (("42804", "0A000"), _changed),
    (("26000", "42P05"), _unprepared),
    (("55000",), _unfit),
    (("XN001",), _installed_wrong),  # our own SQL's message, safe to show
)
"""SQLSTATEs, or how they begin, that no row has caused."""

OF_SCHEMA = ("0A000", "26000", "3F000", "42", "55000", "XN001")
"""What says that the schema is not as it should be, unless a function of the platform's says so."""

OURS: Rules = (
    (("XN002",), _row_refused),  # our own SQL's message, too
    (("22", "23", "428C9"), _value_refused),  # the last: a value for a column that makes its own
)
"""Of somebody's faults those that say something of the row."""
