"""Why there is no connection to Postgres: what libpq and the server say has words, but no code."""

from typing import NamedTuple

import psycopg

from xnovu.reaching import CUT, NO_WAY, REFUSED, SILENT, UNKNOWN
from xnovu.sql.errors import UNAVAILABLE

AUTH = "store_auth"


class Trouble(NamedTuple):
    """What kept us out, with the way out, and its code."""

    said: str
    code: str = UNAVAILABLE


_CREDENTIALS = Trouble(
    "the database refuses the credentials: are user and password in XNOVU_DATABASE_URL right?", AUTH
)
_TROUBLES: tuple[tuple[tuple[str, ...], Trouble], ...] = (
    (("authentication failed", "no password supplied"), _CREDENTIALS),
    (
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        Trouble(
            "the database refuses the credentials from this machine, or without TLS: see its"
            " pg_hba.conf, or set sslmode=require",
            AUTH,
        ),
    ),
    (
        ("is not permitted to log in",),
        Trouble("the database refuses the credentials: this role is no LOGIN role", AUTH),
    ),
    (
        ('role "',),
        Trouble("the database refuses the credentials: there is no such role", AUTH),
    ),
    (
        ("permission denied for database", "User does not have CONNECT"),
        Trouble("the role may not connect to this database: GRANT CONNECT ON DATABASE", AUTH),
    ),
    (
        ('database "',),
        Trouble("there is no database of this name: create it, or mend XNOVU_DATABASE_URL"),
    ),
    (
        ("certificate verify failed", "root certificate", "host name", "certificate"),
        Trouble("TLS: its certificate is refused here: see sslmode and sslrootcert"),
    ),
    (
        ("does not support SSL",),
        Trouble("TLS: this server has none, and sslmode asks for it: set sslmode=prefer"),
    ),
    (("SSL",), Trouble("TLS fails: is it Postgres that listens there? See sslmode")),
    (
        ("resolve host", "translate host", "name resolution", "Name or service", "nodename"),
        Trouble(UNKNOWN),
    ),
    (("Connection refused", "No such file or directory"), Trouble(REFUSED)),
    (("timeout", "timed out"), Trouble(SILENT)),
    (
        ("too many clients", "connection slots", "too many connections", "max_client_conn"),
        Trouble("it has no connection left: raise its max_connections, or lower store.pool_max"),
    ),
    (
        ("starting up", "shutting down", "recovery mode", "not yet accepting"),
        Trouble("it is starting or stopping: it is waited for"),
    ),
    (("unreachable", "No route"), Trouble(NO_WAY)),
    (("closed the connection", "reset by peer", "invalid response", "lost synchron"), Trouble(CUT)),
)
"""The first whose words are in it; they are libpq's and the server's English ones."""


def why(error: psycopg.Error) -> Trouble | None:
    """What a try to connect has said; None: nothing that is known."""
    said = str(error)
    return next((trouble for words, trouble in _TROUBLES if any(w in said for w in words)), None)
