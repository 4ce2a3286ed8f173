"""docs/schema.sql is the schema as it stands."""

from pathlib import Path

import psycopg
import pytest

from tests.integration.schema_text import schema_text
from tests.integration.test_migrations import ENUMS
from tests.upgrades import old_checksums
from xnovu.adapters.postgres.migrations import migrate
from xnovu.sql.schema import migrations
from xnovu_local.supabase import prepare

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "schema.sql"
WRITE = "./run tests tests/integration/test_schema.py --write-schema"
HEAD = f"""\
-- The schema `notify` as it stands in a Supabase project. Without Supabase's roles there are no
-- policies and no grants to them; functions are the owner's alone. Not meant to be run, as
-- `xnovu migrate` is, nor to be edited: the functions' bodies are in xnovu/sql/functions, and
-- `{WRITE}` writes this file.

"""
# As notify.claim asks for one enterprise's.
IN_ORDER = """
EXPLAIN SELECT n.id, notify.xnovu_rank(n.scheduled_for, n.created_at, n.priority) AS rank,
               coalesce(n.expires_at, 'infinity') AS deadline,
               coalesce(greatest(n.scheduled_for, n.created_at), '-infinity') AS due
FROM notify.ent_notification n
WHERE n.notification_status = 'PENDING'
  AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for) AND n.enterprise_id = 'acme'
ORDER BY rank, deadline, due, n.id LIMIT 10"""


def test_the_schema_is_shown_as_it_is(database: str, request: pytest.FixtureRequest) -> None:
    prepare(database)
    migrate(database)
    text = HEAD + schema_text(database)
    if request.config.getoption("--write-schema"):
        SCHEMA.write_text(text)
    assert SCHEMA.read_text() == text, f"run {WRITE}"


def test_the_first_versions_keep_their_names_and_checksums() -> None:
    assert {it.name: it.checksum for it in migrations()[:19]} == old_checksums()


@pytest.mark.parametrize("number", ["smallint", "integer", "bigint"])
def test_the_rank_is_what_its_index_is_sorted_by(database: str, number: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(ENUMS)
        connection.execute(f"ALTER TABLE notify.ent_notification ADD priority {number}".encode())
        migrate(database)
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = "\n".join(line for (line,) in connection.execute(IN_ORDER.encode()))
    assert "Index Scan using ent_notification_xnovu_ready" in plan
    assert "Sort" not in plan
    assert "xnovu_rank" not in plan
