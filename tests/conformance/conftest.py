"""
Whether XNovu and a Supabase project fit, seen from outside: with its URL and its keys alone.

``./run conformance`` looks at the project that the environment names, or if it names none, as the
tests do, at a local one.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from supabase import AsyncClient

from tests.conformance.project import NAME, Left, Project, clean_up, refusal, registered
from tests.supabase_fixtures import postgrest_program
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.compose.secrets import SUPABASE_KEY, SUPABASE_URL, secret
from xnovu.errors import ConfigurationError
from xnovu.sql.store import SqlStore
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase import Keys, LocalSupabase, prepare
from xnovu_local.supabase.realtime import local_realtime

__all__ = ["postgrest_program"]

REFUSED = 2
ANON_KEY = "XNOVU_SUPABASE_ANON_KEY"
JWT_SECRET = "XNOVU_SUPABASE_JWT_SECRET"
MAX_ROWS = "XNOVU_STORE__MAX_ROWS"
LEFT = pytest.StashKey[Left]()


def pytest_addoption(parser: pytest.Parser) -> None:
    said = f"the project of {SUPABASE_URL} and {SUPABASE_KEY}, if they are set; else a local one"
    parser.addoption("--from-environment", action="store_true", help=said)


def pytest_report_header(config: pytest.Config) -> str | None:
    if not config.getoption("--from-environment", default=False):
        return None
    project = _named()
    return f"against {project.url if project else f'a local Supabase: {SUPABASE_URL} is not set'}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left = terminalreporter.config.stash.get(LEFT, None)
    if left:
        terminalreporter.write_line(
            f"{left.rows} rows of notify.ent_notification stay, of {left.enterprises} enterprises"
            f" that nobody has, none of them due; {left.lines} lines of the audit tell of them."
            " To delete the rows, as the owner:\n"
            f"DELETE FROM notify.ent_notification WHERE name = '{NAME}'"
        )


@pytest.fixture(scope="session")
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """The project; in the end nothing of the suite's is due there."""
    named = _named() if request.config.getoption("--from-environment", default=False) else None
    project = named or request.getfixturevalue("local_project")
    with start_blocking_portal() as portal:
        if problem := portal.call(refusal, project):
            pytest.exit(f"nothing was tried: {problem}", REFUSED)
        try:
            yield project
        finally:
            left = portal.call(clean_up, project)
            if named:
                request.config.stash[LEFT] = left


@pytest.fixture(scope="session")
def local_project(
    postgres_server: EmbeddedPostgres,
    postgrest_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Project]:
    dsn = postgres_server.create_database("conformance")
    prepare(dsn)
    migrate(dsn)
    folder = tmp_path_factory.mktemp("supabase")
    with LocalSupabase(dsn, folder, realtime=local_realtime) as supabase:
        keys = supabase.running.keys
        yield Project(supabase.running.url, keys.secret, keys.publishable, keys.jwt_secret)


def _named() -> Project | None:
    """The one of the environment; ends the session if it is named by halves."""
    names = (SUPABASE_URL, SUPABASE_KEY)
    if not any(name in os.environ or f"{name}_FILE" in os.environ for name in names):
        return None
    try:
        url, key = (secret(name)() for name in names)
    except ConfigurationError as error:
        pytest.exit(str(error), REFUSED)
    most = int(os.environ.get(MAX_ROWS) or SupabaseOptions().max_rows)
    optional = (os.environ.get(name) for name in (ANON_KEY, JWT_SECRET))
    return Project(url, key, *optional, most)


@pytest.fixture
def acme(project: Project) -> str:
    """An enterprise of this test's own."""
    return project.enterprise()


@pytest.fixture
def globex(project: Project) -> str:
    """Another one."""
    return project.enterprise()


@pytest.fixture
async def store(project: Project, acme: str) -> AsyncIterator[SqlStore]:
    """Of the one enterprise."""
    async with project.store(acme) as store:
        yield store


@pytest.fixture
async def platform(project: Project) -> AsyncIterator[AsyncClient]:
    """With the service key, as a platform's own backend."""
    async with project.client() as client:
        yield client


@pytest.fixture
async def workflow(platform: AsyncClient, store: SqlStore) -> object:
    """What a row calls the workflow that its enterprise has."""
    return await registered(platform, store)


@pytest.fixture
def anon_key(project: Project) -> str:
    if not project.anon_key:
        pytest.skip(f"{ANON_KEY} is not set")
    return project.anon_key


@pytest.fixture
def keys(project: Project) -> Keys:
    """What signs tokens of users."""
    if not project.jwt_secret:
        pytest.skip(f"{JWT_SECRET} is not set")
    return Keys(project.jwt_secret)
