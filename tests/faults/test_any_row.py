"""Whatever stands in one enterprise's rows, another's are sent: rows that nobody would think of."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.conftest import eventually
from tests.integration.pipeline import ENDED, GLOBEX, World, stages, world

TABLE = "notify.ent_notification"
LOOSE = f"""
ALTER TABLE {TABLE} ALTER recipients TYPE text[], ALTER recipients DROP NOT NULL,
    ALTER payload DROP NOT NULL, ALTER channels TYPE text[],
    ALTER enterprise_id DROP NOT NULL
"""
GOOD, BAD = 60, 240
TEXTS = [
    *(
        "",
        " ",
        "a",
        "x" * 300,
        "\n",
        "\t",
        "é",
        "日本",
        "\U0001f600",
        "'",
        '"',
        "\\",
        "%00",
        "../..",
        "?x",
    ),
    *("null", "NaN", "{}", "[]", "0", "\u200b", "\x7f", "a b", "a\u0301", "welcome", "strings"),
]
NUMBERS = ["0", "-1", "1e400", "-1e-400", "9" * 40, "0.1", "1E5", str(2**63), "1" + "0" * 300]
TIMES = ["-infinity", "infinity", "4713-01-01 BC", "294276-12-31", "epoch", "now", "2000-01-01"]
INTEGERS = [-(2**31), -1, 0, 1, 2**31 - 1]


class Anything:
    """Any value that a column may hold, by a seed."""

    def __init__(self, seed: int) -> None:
        self.any = random.Random(seed)

    def text(self) -> str:
        return "".join(self.any.choices(TEXTS, k=self.any.randint(0, 3)))

    def json(self, deep: int = 0) -> str:
        """As it is written: Postgres keeps numbers that no client can."""
        kind = self.any.random()
        if kind < 0.2 and deep < 60:
            return "[" * 40 + self.json(deep + 40) + "]" * 40
        if kind < 0.5 and deep < 4:
            each = (self.json(deep + 1) for _ in range(self.any.randint(0, 4)))
            return f"[{','.join(each)}]"
        if kind < 0.8 and deep < 4:
            pairs = (
                f"{self.string()}:{self.json(deep + 1)}" for _ in range(self.any.randint(0, 4))
            )
            return f"{{{','.join(pairs)}}}"
        return self.any.choice([*NUMBERS, "true", "null", self.string()])

    def string(self) -> str:
        escaped = self.any.choice(["\\ud83d\\ude00", "\\n", "\\u007f", "plain", "_xnovu", "a.b"])
        return f'"{escaped}"'

    def array(self) -> str:
        one = '"a","b"'
        return self.any.choice(
            [
                "{}",
                "{NULL}",
                f"{{{{{one}}},{{{one}}}}}",
                "[5:6]={a,b}",
                "{a,a}",
                '{""}',
                f"{{{one}}}",
            ]
        )

    def row(self) -> dict[str, Any]:
        columns = {
            "name": self.text,
            "notification_workflow_id": lambda: self.any.choice(
                ["welcome", "strings", self.text()]
            ),
            "recipients": self.array,
            "payload": self.json,
            "overrides": self.json,
            "tags": self.array,
            "channels": self.array,
            "transaction_id": self.text,
            "scheduled_for": lambda: self.any.choice(TIMES),
            "expires_at": lambda: self.any.choice(TIMES),
            "created_at": lambda: self.any.choice(TIMES),
            "priority": lambda: self.any.choice(INTEGERS),
            "claims": lambda: self.any.choice(INTEGERS),
            "generation": lambda: self.any.choice(INTEGERS),
            "workflow_version": self.text,
        }
        chosen = self.any.sample(sorted(columns), self.any.randint(0, len(columns)))
        return {"notification_workflow_id": "welcome", "recipients": "{somebody}"} | {
            name: None if self.any.random() < 0.1 else columns[name]() for name in chosen
        }


def inserted(around: World, anything: Anything, whose: UUID) -> Iterator[int]:
    """Those that Postgres takes."""
    with psycopg.connect(around.database, autocommit=True) as connection:
        for _ in range(BAD):
            row = {"enterprise_id": whose} | anything.row()
            names = sql.SQL(", ").join(map(sql.Identifier, row))
            values = sql.SQL(", ").join([sql.Placeholder()] * len(row))
            query = sql.SQL("INSERT INTO notify.ent_notification ({}) VALUES ({}) RETURNING id")
            try:
                cursor = connection.execute(query.format(names, values), list(row.values()))
            except (psycopg.DataError, psycopg.IntegrityError):
                continue
            yield (cursor.fetchone() or [0])[0]


def states(around: World, numbers: list[int]) -> dict[int, str]:
    rows = around.execute(
        f"SELECT id, notification_status::text AS status FROM {TABLE} WHERE id = ANY (%s)", numbers
    )
    return {row["id"]: row["status"] for row in rows}


def waits(around: World) -> set[int]:
    """Rows that nobody needs to end: their time has not come, or they are set aside."""
    rows = around.execute(
        f"SELECT id FROM {TABLE} WHERE greatest(scheduled_for, created_at) > now()"
        " UNION ALL SELECT id FROM notify.aside(1000)"
    )
    return {row["id"] for row in rows}


@pytest.mark.parametrize("seed", [1, 2])
async def test_good_rows_are_sent_and_every_other_ends_or_is_named(
    migrated, nats_server, monkeypatch, seed: int
) -> None:
    anything = Anything(seed)
    async with world(migrated, nats_server, monkeypatch) as around:
        around.execute(LOOSE)
        around.register()
        around.register(GLOBEX)
        around.register(key="strings", payload_schema={"additionalProperties": {"type": "string"}})
        whose = UUID("11111111-1111-4111-8111-111111111111")
        bad = list(inserted(around, anything, whose))
        assert len(bad) > BAD / 2
        async with stages(around):
            good = [around.insert(GLOBEX, recipients=["somebody"]) for _ in range(GOOD)]
            await eventually(lambda: set(states(around, good).values()) == {"SENT"}, within=60)
            await eventually(
                lambda: (
                    not {n for n, s in states(around, bad).items() if s not in ENDED}
                    - waits(around)
                ),
                within=120,
            )
        rows = around.execute(
            f"SELECT id, error_details FROM {TABLE} WHERE notification_status = 'FAILED'"
        )
        assert all(row["error_details"]["code"] for row in rows)
        assert "exhausted" not in {row["error_details"]["code"] for row in rows}
        assert around.novu.ledger.doubled() == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_refuses_or_locks_some_rows_the_others_are_sent(
    migrated, nats_server, monkeypatch, seed: int
) -> None:
    """And they are, too, when the cause is gone."""
    some = random.Random(seed)
    async with world(migrated, nats_server, monkeypatch) as around:
        around.register()
        around.register(GLOBEX)
        numbers = [around.insert() for _ in range(90)]
        some.shuffle(numbers)
        checked, triggered, locked = numbers[:20], numbers[20:40], numbers[40:60]
        around.execute(
            f"ALTER TABLE {TABLE} ADD CONSTRAINT refuses CHECK"
            f" (id <> ALL ('{{{','.join(map(str, checked))}}}'::bigint[])) NOT VALID"
        )
        around.execute(
            "CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF OLD.id IN ({','.join(map(str, triggered))}) THEN RAISE EXCEPTION 'no'; END IF;"
            " RETURN NEW; END $$;"
            f"CREATE TRIGGER refuses BEFORE UPDATE ON {TABLE}"
            " FOR EACH ROW EXECUTE FUNCTION public.refuses()"
        )
        with ExitStack() as stack:
            other = stack.enter_context(psycopg.connect(around.database))
            other.execute(f"SELECT FROM {TABLE} WHERE id = ANY (%s) FOR UPDATE", [locked])
            async with stages(around):
                good = [*numbers[60:], *(around.insert(GLOBEX) for _ in range(GOOD))]
                await eventually(lambda: set(states(around, good).values()) == {"SENT"}, within=60)
                other.rollback()
                await eventually(
                    lambda: set(states(around, locked).values()) == {"SENT"}, within=60
                )
                around.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT refuses")
                around.execute(f"DROP TRIGGER refuses ON {TABLE}")
                around.execute("UPDATE notify.xnovu_set_aside SET until = now()")
                await eventually(
                    lambda: set(states(around, numbers).values()) == {"SENT"}, within=60
                )
        assert around.execute("SELECT * FROM notify.aside()") == []
        assert around.novu.ledger.doubled() == []
