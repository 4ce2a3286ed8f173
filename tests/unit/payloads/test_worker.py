"""The process that checks payloads ends by itself, whoever started it."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from xnovu.payloads import worker

MEMORY = 268_435_456


def run(*requests: tuple[Any, bytes], seconds: float = 20.0, memory: int = MEMORY) -> Any:
    """What it answers, and how it ended, if nobody asks any more."""
    asked = b"".join(
        worker.HEADER.pack(len(text := json.dumps(schema).encode()), len(payload)) + text + payload
        for schema, payload in requests
    )
    command = [sys.executable, "-P", worker.__file__, str(seconds), str(memory)]
    done = subprocess.run(command, input=asked, capture_output=True, check=False, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def test_it_answers_each_and_ends_with_its_input():
    unique = {"uniqueItems": True}
    answers, ended = run((unique, b"[1, 2]"), (unique, b"[1, 1]"), ({"type": 3}, b"1"))
    assert [answer[0] for answer in answers] == [
        *("compiled", "valid", "end"),
        *("compiled", "invalid", "violations", "violations", "end"),
        *("schema", "end"),
    ]
    assert ended == 0


def test_what_takes_too_long_ends_it_though_nobody_waits():
    both = {f"{n}": {"anyOf": [{"$ref": f"#/{n + 1}"}] * 2} for n in range(40)}
    answers, ended = run(({**both, "40": {"type": "string"}, "$ref": "#/0"}, b"1"), seconds=0.2)
    assert (answers, ended) == ([["compiled"]], -signal.SIGPROF)


def test_a_verdict_is_told_though_its_reasons_take_too_long():
    payload = json.dumps({f"k{n}": n for n in range(60_000)}).encode()
    answers, ended = run(({"additionalProperties": {"type": "string"}}, payload), seconds=1.0)
    assert [answer[0] for answer in answers] == ["compiled", "invalid", "violations"]
    assert ended == -signal.SIGPROF


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_what_needs_too_much_memory_ends_it():
    payload = b"[" + b"[]," * 3_000_000 + b"[]]"
    answers, ended = run(({"uniqueItems": True}, payload), memory=100_000_000)
    assert ("end",) not in map(tuple, answers)
    assert ended not in (0, -signal.SIGPROF)


def test_names_that_the_schema_does_not_have_are_counted_and_not_told():
    names = {f"{n}@example.org": n for n in range(1_000)}
    schema = {"properties": {"a": True}, "additionalProperties": False}
    answers, _ = run((schema, json.dumps(names).encode()))
    *_, told = [rest[0] for word, *rest in answers if word == "violations"]
    assert told == "/: properties that the schema does not name are not allowed (1000 here)"
