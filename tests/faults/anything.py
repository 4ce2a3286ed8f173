"""Rows that nobody would think of: any value that Postgres takes, in every column."""

import random
from typing import Any

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
