"""What identifies is never cut, whatever the width; long work shows how far it is."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from rich.console import Console

from xnovu.cli import console

WORDS = some.text(alphabet=some.characters(min_codepoint=33, max_codepoint=126), min_size=1)
ROWS = some.lists(some.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5)


def printed(rows, *, width: int | None = None) -> str:
    file = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "out", Console(file=file, width=width or 80, soft_wrap=True))
        if width:
            patch.setenv("COLUMNS", str(width))
        else:
            patch.delenv("COLUMNS", raising=False)
        console.print_table(("stage", "code", "why"), rows)
    return file.getvalue()


@given(ROWS, some.integers(20, 100))
@settings(deadline=None)
def test_no_word_of_a_table_is_ever_cut(rows, width):
    for text in (printed(rows), printed(rows, width=width)):
        assert "…" not in text or any("…" in word for row in rows for word in row)
        for row in rows:
            assert all(word in text.split() for word in row)


@given(ROWS)
@settings(deadline=None)
def test_in_a_pipe_a_row_is_a_line(rows):
    assert len(printed(rows).splitlines()) == 1 + len(rows)


def test_on_a_screen_only_the_last_column_is_folded():
    text = printed([("hydrate", "payload_invalid", "one two three four five six")], width=45)
    assert [line.strip() for line in text.splitlines()] == [
        "stage    code             why",
        "hydrate  payload_invalid  one two three four",
        "five six",
    ]


def test_without_a_terminal_progress_is_a_line_now_and_then(monkeypatch):
    told, clock = io.StringIO(), iter([0.0, 1.0, 6.0, 6.0, 7.0])
    monkeypatch.setattr(console, "err", Console(file=told, width=80))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("replaying", 14_440) as tell:
        for done in (200, 4000, 4200):
            tell(done)
    assert told.getvalue() == "replaying: 4,000 of 14,440\n"


def test_json_is_one_document(capsys):
    console.print_json({"id": 1, "said": "x" * 500})
    assert json.loads(capsys.readouterr().out) == {"id": 1, "said": "x" * 500}
