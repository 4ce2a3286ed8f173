"""The messages of pgoutput, on bytes that a Postgres 18 has sent."""

from datetime import UTC, datetime

import psycopg
import pytest

from xnovu_local.supabase.realtime.pgoutput import UNCHANGED, Change, Decoder

# Three tables: one with an enum, one that keeps whole rows, one with a value stored out of line.
PLAIN = (
    b"R\x00\x00@\x03public\x00plain\x00d\x00\x03\x01id\x00\x00\x00\x00\x14\xff\xff\xff\xff"
    b"\x00name\x00\x00\x00\x00\x19\xff\xff\xff\xff\x00mood\x00\x00\x00@\x01\xff\xff\xff\xff"
)
WHOLE = (
    b"R\x00\x00@\x0bpublic\x00whole\x00f\x00\x02\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff"
    b"\x01big\x00\x00\x00\x00\x19\xff\xff\xff\xff"
)
LARGE = (
    b"R\x00\x00@\x10public\x00large\x00d\x00\x02\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff"
    b"\x00big\x00\x00\x00\x00\x19\xff\xff\xff\xff"
)
TYPE = b"Y\x00\x00@\x01public\x00mood\x00"
BEGIN = b"B\x00\x00\x00\x00\x01s\xae`\x00\x03\x04\x0e\xcf\xe0Q\xb4\x00\x00\x02\xf2"
COMMIT = (
    b"C\x00\x00\x00\x00\x00\x01s\xae`\x00\x00\x00\x00\x01s\xae\x90\x00\x03\x04\x0e\xcf\xe0Q\xb4"
)
INSERT = (
    b"I\x00\x00@\x03N\x00\x03t\x00\x00\x00\x011t\x00\x00\x00\x04Zo\xc3\xabt\x00\x00\x00\x04fine"
)
INSERT_OF_NULLS = b"I\x00\x00@\x03N\x00\x03t\x00\x00\x00\x012nn"
UPDATE = b"U\x00\x00@\x03N\x00\x03t\x00\x00\x00\x011t\x00\x00\x00\x00t\x00\x00\x00\x04fine"
UPDATE_OF_KEY = (
    b"U\x00\x00@\x03K\x00\x03t\x00\x00\x00\x011nn"
    b"N\x00\x03t\x00\x00\x00\x017t\x00\x00\x00\x00t\x00\x00\x00\x04fine"
)
DELETE = b"D\x00\x00@\x03K\x00\x03t\x00\x00\x00\x012nn"
UPDATE_OF_WHOLE = (
    b"U\x00\x00@\x0bO\x00\x02t\x00\x00\x00\x011t\x00\x00\x00\x01a"
    b"N\x00\x02t\x00\x00\x00\x012t\x00\x00\x00\x01a"
)
DELETE_OF_WHOLE = b"D\x00\x00@\x0bO\x00\x02t\x00\x00\x00\x012t\x00\x00\x00\x01a"
UPDATE_BESIDE_LARGE = b"U\x00\x00@\x10K\x00\x02t\x00\x00\x00\x011nN\x00\x02t\x00\x00\x00\x012u"
TRUNCATE = b"T\x00\x00\x00\x02\x00\x00\x00@\x03\x00\x00@\x0b"


@pytest.fixture
def decoder() -> Decoder:
    decoder = Decoder()
    for message in (TYPE, PLAIN, WHOLE, LARGE, BEGIN):
        assert list(decoder.read(message)) == []
    return decoder


def only(decoder: Decoder, message: bytes) -> Change:
    (change,) = decoder.read(message)
    return change


def test_reads_an_insert_with_all_that_is_known_of_it(decoder: Decoder) -> None:
    assert only(decoder, INSERT) == Change(
        kind="INSERT",
        schema="public",
        table="plain",
        columns={"id": "1", "name": "Zoë", "mood": "fine"},
        old=None,
        commit_time=datetime(2026, 11, 25, 1, 49, 53, 769908, tzinfo=UTC),
        transaction=754,
    )


def test_tells_null_from_empty(decoder: Decoder) -> None:
    assert only(decoder, INSERT_OF_NULLS).columns == {"id": "2", "name": None, "mood": None}
    assert only(decoder, UPDATE).columns["name"] == ""


def test_of_an_update_only_a_changed_key_is_old(decoder: Decoder) -> None:
    same, moved = only(decoder, UPDATE), only(decoder, UPDATE_OF_KEY)
    assert (same.kind, same.old) == ("UPDATE", None)
    assert moved.old == {"id": "1"}
    assert moved.columns == {"id": "7", "name": "", "mood": "fine"}


def test_of_a_deleted_row_only_its_key_is_known(decoder: Decoder) -> None:
    change = only(decoder, DELETE)
    assert (change.kind, change.columns, change.old) == ("DELETE", {}, {"id": "2"})


def test_where_the_table_keeps_whole_rows_all_is_known(decoder: Decoder) -> None:
    change = only(decoder, UPDATE_OF_WHOLE)
    assert change.columns == {"id": "2", "big": "a"}
    assert change.old == {"id": "1", "big": "a"}
    assert only(decoder, DELETE_OF_WHOLE).old == {"id": "2", "big": "a"}


def test_marks_a_large_value_that_was_left_alone(decoder: Decoder) -> None:
    change = only(decoder, UPDATE_BESIDE_LARGE)
    assert change.columns["big"] is UNCHANGED
    assert change.old == {"id": "1"}


def test_a_truncation_is_not_told(decoder: Decoder) -> None:
    assert list(decoder.read(TRUNCATE)) == []


def test_a_table_that_was_changed_is_told_anew(decoder: Decoder) -> None:
    decoder.read(PLAIN.replace(b"name", b"nick"))
    assert only(decoder, INSERT).columns == {"id": "1", "nick": "Zoë", "mood": "fine"}


def test_refuses_what_it_does_not_know(decoder: Decoder) -> None:
    with pytest.raises(psycopg.InterfaceError, match="unknown kind b'S'"):
        decoder.read(b"S")
    decoder.read(COMMIT)
    with pytest.raises(psycopg.InterfaceError, match="outside"):
        decoder.read(INSERT)
