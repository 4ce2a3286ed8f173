"""A local Supabase with a table of the tests' own, and Supabase's own client to it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import psycopg
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from tests.supabase_fixtures import postgrest_program, supabase
from tests.supabase_fixtures import project as migrated
from xnovu_local.supabase import RunningSupabase

__all__ = ["migrated", "postgrest_program", "supabase"]

TABLE = b"""
CREATE TABLE notify.note (
    id int PRIMARY KEY,
    enterprise_id uuid,
    text text NOT NULL DEFAULT 'hello'
);
ALTER TABLE notify.note ENABLE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA notify TO anon, authenticated, service_role;
GRANT ALL ON notify.note TO authenticated, service_role;
GRANT SELECT ON notify.note TO anon;
CREATE POLICY own ON notify.note TO authenticated
    USING (enterprise_id = (auth.jwt() ->> 'enterprise_id')::uuid);
CREATE FUNCTION notify.whoami() RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('role', current_user, 'uid', auth.uid(), 'claimed', auth.role(),
                             'enterprise', auth.jwt() ->> 'enterprise_id')
$$;
"""
Connect = Callable[..., Awaitable[AsyncClient]]


@pytest.fixture
def project(migrated: str) -> str:
    with psycopg.connect(migrated) as connection:
        connection.execute(TABLE)
    return migrated


@pytest.fixture
async def connect(supabase: RunningSupabase) -> AsyncIterator[Connect]:
    """Makes clients with a key, for a signed-in user if there is a token."""
    async with httpx.AsyncClient(timeout=60) as http:

        async def one(key: str, token: str | None = None) -> AsyncClient:
            options = AsyncClientOptions(schema="notify", httpx_client=http)
            client = await acreate_client(supabase.url, key, options)
            if token is not None:
                client.postgrest.auth(token)
            return client

        yield one
