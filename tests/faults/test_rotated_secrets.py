"""
A secret is changed in its file while rows keep coming: each is sent, once, and nobody restarts.

All that came are SENT within WITHIN of the change: what is held is tried again within 0.2 s here.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from tests.conftest import eventually
from tests.integration.pipeline import World, world
from tests.platform_table import Platform
from tests.supabase_pipeline import STAGES, ever_paused, paused, stages_at_work
from xnovu.adapters.postgres.store import PostgresOptions
from xnovu.adapters.table import TableSource
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.compose.secrets import DATABASE_URL, NOVU_KEY
from xnovu_local.nats import EmbeddedNats

WITHIN = 20.0
LOGIN = "xnovu_rotating"


@dataclass(slots=True)
class Installation(Platform):
    """A database with a login for the stages; they know it, and Novu's key, by files."""

    around: World
    url_file: Path
    key_file: Path

    @property
    def kit(self) -> Kit:
        return Kit(self.around.settings, "all")

    def change_password(self, password: str) -> str:
        """The URL with the new one; who is logged in stays so."""
        self.database.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(LOGIN), sql.Literal(password)
            )
        )
        return conninfo.make_conninfo(self.around.database, user=LOGIN, password=password)

    def log_out(self) -> None:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
        self.database.execute(query, [LOGIN])

    def logged_in(self) -> set[int]:
        """Of all connections but those that are told of new rows, which stay."""
        query = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND query NOT LIKE 'LISTEN%%'"
        return {pid for (pid,) in self.database.execute(query, [LOGIN])}

    async def all_is_well(self, house: House) -> None:
        over = self.now()
        self.insert()
        await self.all_sent(WITHIN)
        assert self.last_sent() - over < timedelta(seconds=WITHIN)
        self.each_exactly_once()
        await eventually(lambda: not paused(house) and table(house).trouble is None)


@pytest.fixture
async def here(
    migrated: str, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Installation]:
    options = {"stages": STAGES, "store": PostgresOptions(timeout=2.0)}
    with psycopg.connect(migrated, autocommit=True) as owner:
        async with world(migrated, nats_server, monkeypatch, **options) as around:
            owner.execute(f"CREATE ROLE {LOGIN} LOGIN SUPERUSER")
            here = Installation(owner, around.novu, around, tmp_path / "url", tmp_path / "key")
            here.url_file.write_text(here.change_password("first"))
            here.key_file.write_text("first")
            around.novu.change(api_key="first")
            for name, file in {DATABASE_URL: here.url_file, NOVU_KEY: here.key_file}.items():
                monkeypatch.delenv(name)
                monkeypatch.setenv(f"{name}_FILE", str(file))
            around.register()
            try:
                yield here
            finally:
                here.log_out()
                owner.execute(f"DROP ROLE {LOGIN}")


def table(house: House) -> TableSource:
    assert house.table
    return house.table


async def test_a_password_is_refused_until_it_is_replaced(here: Installation) -> None:
    async with stages_at_work(here.kit) as house:
        async with here.under_load():
            await here.goes_on()
            url = here.change_password("second")
            here.log_out()
            await eventually(lambda: "refuses the credentials" in (table(house).trouble or ""))
            here.url_file.write_text(url)
            await here.goes_on()
        await here.all_is_well(house)


async def test_passwords_that_are_replaced_before_anyone_is_logged_out(here: Installation) -> None:
    """Nobody notices: what is under way on the old connections ends there."""
    async with stages_at_work(here.kit) as house:
        async with here.under_load():
            for password in ("second", "third"):
                await here.goes_on()
                logged_in = here.logged_in()
                here.url_file.write_text(here.change_password(password))
                await eventually(lambda before=logged_in: not here.logged_in() & before)
        await here.all_is_well(house)
        assert ever_paused(house) == set()


async def test_novus_key_is_refused_until_it_is_replaced(here: Installation) -> None:
    async with stages_at_work(here.kit) as house:
        async with here.under_load():
            await here.goes_on()
            here.novu.change(api_key="second")
            await eventually(lambda: paused(house) == {"provider_auth"})
            here.key_file.write_text("second")
            await here.goes_on()
        await here.all_is_well(house)
