"""Why a server is not reached is told as it is, from real failures of each library that tries."""

import asyncio
import socket
import ssl
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from xnovu.adapters.nats.visit import visiting
from xnovu.adapters.postgres.connection import Door
from xnovu.adapters.postgres.errors import translated, unreached
from xnovu.errors import ConfigurationError, Paused
from xnovu.reaching import CUT, REFUSED, SILENT, UNKNOWN, place_of, why_unreached

NOWHERE = "nowhere.invalid"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which somebody listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), UNKNOWN),
        (ConnectionRefusedError(111, "refused"), REFUSED),
        (ConnectionResetError(104, "reset"), CUT),
        (TimeoutError(), SILENT),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version"), "TLS"),
    ],
)
def test_each_failure_of_the_network_has_its_words(error: Exception, said: str) -> None:
    outer = RuntimeError("a library's own")
    outer.__cause__ = ExceptionGroup("several", [OSError("All attempts failed"), error])
    for raised in (error, outer):
        assert said in (why_unreached(raised) or "")
    assert why_unreached(ValueError("no failure of the network")) is None


async def test_a_url_is_tried_by_httpx_and_the_reason_found(silent: int) -> None:
    async with httpx.AsyncClient(timeout=0.2, trust_env=False) as client:
        for url, said in (
            (f"http://{NOWHERE}:81", UNKNOWN),
            ("http://127.0.0.1:1", REFUSED),
            (f"https://127.0.0.1:{silent}", SILENT),
        ):
            with pytest.raises(httpx.HTTPError) as failed:
                await client.get(url)
            assert why_unreached(failed.value) == said


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        (f"postgresql://ada:hidden@{NOWHERE}:81/app", UNKNOWN),
        ("postgresql://ada:hidden@127.0.0.1:1/app", REFUSED),
        ("postgresql://ada:hidden@127.0.0.1:{silent}/app?connect_timeout=2", SILENT),
    ],
)
def test_postgres_is_not_reached(dsn: str, said: str, silent: int) -> None:
    dsn = dsn.format(silent=silent)
    with pytest.raises(psycopg.OperationalError) as failed:
        psycopg.connect(dsn)
    told = str(unreached(failed.value, dsn))
    assert said in told
    assert "/app as ada" in told
    assert "hidden" not in told


async def test_nats_is_not_reached(silent: int) -> None:
    for url, said in (
        (f"nats://ada:hidden@{NOWHERE}:4222", UNKNOWN),
        ("nats://ada:hidden@127.0.0.1:1", REFUSED),
    ):
        with pytest.raises(Paused) as failed:
            async with asyncio.timeout(20), visiting(url):
                pass
        assert said in str(failed.value)
        assert url.partition("@")[2] in str(failed.value)
        assert "hidden" not in str(failed.value)


@pytest.mark.parametrize(
    ("said", "told", "code"),
    [
        ('FATAL:  database "app" does not exist', "no database of this name", "store_unavailable"),
        ('FATAL:  password authentication failed for user "ada"', "credentials", "store_auth"),
        ('FATAL:  role "ada" does not exist', "no such role", "store_auth"),
        ('FATAL:  role "ada" is not permitted to log in', "no LOGIN role", "store_auth"),
        ("server does not support SSL, but SSL was required", "sslmode", "store_unavailable"),
        ("SSL error: certificate verify failed", "sslrootcert", "store_unavailable"),
        ("FATAL:  sorry, too many clients already", "max_connections", "store_unavailable"),
        ("FATAL:  the database system is starting up", "waited for", "store_unavailable"),
        ("FATAL:  no pg_hba.conf entry for host", "pg_hba.conf", "store_auth"),
        ("something new", "no connection to the database at db:6432/app", "store_unavailable"),
    ],
)
def test_what_postgres_says_of_a_connection_is_told_with_the_way_out(
    said: str, told: str, code: str
) -> None:
    door = Door("postgresql://ada:hidden@db:6432/app")
    door.tried(psycopg.OperationalError(said))
    with pytest.raises(Paused) as failed, translated(door):
        raise psycopg.OperationalError("no more details")
    assert told in str(failed.value)
    assert "db:6432/app as ada" in str(failed.value)
    assert failed.value.code == code
    assert "hidden" not in str(failed.value)


EXPRESSION = """PL/pgSQL expression "(SELECT count(*) FROM notify.xnovu_enterprise)"
PL/pgSQL function notify.claim(integer,double precision,uuid) line 12 at IF"""
GERMAN = "PL/pgSQL-Funktion notify.claim(integer,double precision,uuid) Zeile 12 bei IF"


@pytest.mark.parametrize("context", [None, EXPRESSION, GERMAN])
def test_a_missing_right_names_the_role_the_object_and_the_grant(context: str | None) -> None:
    class Refused(psycopg.errors.InsufficientPrivilege):
        diag = type(
            "Diagnostic",
            (),
            {
                **dict.fromkeys(("message_hint", "column_name", "constraint_name", "table_name")),
                "message_primary": "permission denied for table xnovu_sending",
                "context": context,
            },
        )()

    with pytest.raises(Paused) as failed, translated(Door("postgresql://ada:hidden@db/app")):
        raise Refused
    assert "permission denied for table xnovu_sending" in str(failed.value)
    assert 'GRANT xnovu_stage TO "ada"' in str(failed.value)
    assert failed.value.code == "store_forbidden"
    assert not isinstance(failed.value, ConfigurationError)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://u:hidden@api.novu.co/x?key=hidden", "api.novu.co:443"),
        ("http://[::1]:80", "[::1]:80"),
        ("http://h:port", "an address that cannot be read"),
    ],
)
def test_a_place_is_host_and_port(url: str, place: str) -> None:
    assert place_of(url) == place
