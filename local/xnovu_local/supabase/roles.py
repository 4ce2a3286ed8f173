"""Makes a database one of Supabase's: its roles, the schema `auth`, Realtime's publication."""

import hashlib
import hmac
import secrets
from importlib.resources import files

import psycopg
from psycopg import conninfo, sql

AUTHENTICATOR = "authenticator"


def prepare(dsn: str) -> str:
    """
    Prepares a database, as often as wanted, and gives PostgREST's own connection string to it.

    `dsn` is a superuser's. XNovu's migrations come after this: they grant to roles that exist.
    Raises psycopg.Error.
    """
    password = _password(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(files(__package__ or "").joinpath("roles.sql").read_bytes())
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(AUTHENTICATOR), sql.Literal(password)
            )
        )
    return conninfo.make_conninfo(dsn, user=AUTHENTICATOR, password=password)


def _password(dsn: str) -> str:
    """The same for all that know the owner's: they share the role, and must not lock out others."""
    owner = conninfo.conninfo_to_dict(dsn).get("password")
    if not owner:
        return secrets.token_urlsafe(24)
    return hmac.new(str(owner).encode(), AUTHENTICATOR.encode(), hashlib.sha256).hexdigest()
