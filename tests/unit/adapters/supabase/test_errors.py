"""Every answer of Supabase's REST API is of a class, and carries no value."""

from typing import Any

import httpx
import pytest

from xnovu.adapters.supabase.errors import refusal, refuse, translated
from xnovu.errors import ConfigurationError, Paused, Permanent, XNovuError
from xnovu.sql.errors import AnswerLost

SECRET = 'secret-value of "someone"'
JSON = {"Content-Type": "application/json; charset=utf-8"}
PAGE = "<html><head><title>secret-value</title></head></html>"


def answer(status: int, code: str | None = None, **more: Any) -> httpx.Response:
    """As PostgREST gives it, or somebody in front of it where there is no code."""
    body = {"message": SECRET, "details": SECRET, "hint": SECRET, **more}
    return httpx.Response(status, json={**body, "code": code} if code else body)


def page(status: int) -> httpx.Response:
    return httpx.Response(status, html=PAGE)


@pytest.mark.parametrize(
    ("response", "kind", "code", "told"),
    [
        (answer(503, "PGRST000"), Paused, "store_unavailable", "PGRST000"),
        (answer(503, "PGRST001"), AnswerLost, "store_unavailable", "PGRST001"),
        (answer(503, "PGRST002"), Paused, "store_unavailable", "PGRST002"),
        (answer(504, "PGRST003"), Paused, "store_unavailable", "PGRST003"),
        (answer(406, "PGRST106"), ConfigurationError, "configuration", "add notify to the exposed"),
        (answer(404, "PGRST202"), ConfigurationError, "configuration", "reload schema"),
        (answer(300, "PGRST203"), ConfigurationError, "configuration", "xnovu migrate"),
        (answer(404, "PGRST205"), ConfigurationError, "configuration", "xnovu migrate"),
        (answer(404, "42883"), ConfigurationError, "configuration", "reload schema"),
        (answer(404, "42P01"), ConfigurationError, "configuration", "xnovu migrate"),
        (answer(500, "PGRST300"), Paused, "store_auth", "API key"),
        (answer(401, "PGRST301"), Paused, "store_auth", "API key"),
        (answer(401, "PGRST302"), Paused, "store_auth", "API key"),
        (answer(401, "PGRST303"), Paused, "store_auth", "API key"),
        (answer(400, "PGRST102"), Permanent, "refused_by_database", "PGRST102"),
        (answer(401), Paused, "store_auth", "API key"),
        (answer(402), Paused, "store_payment", "402"),
        (answer(403), Paused, "store_forbidden", "service key"),
        (page(403), Paused, "store_forbidden", "service key"),
        (answer(407), Paused, "store_auth", "proxy"),
        (answer(408), Paused, "store_unavailable", "408"),
        (answer(429), Paused, "rate_limited", "429"),
        (answer(413), Permanent, "invalid_row", "too large"),
        (answer(404), ConfigurationError, "configuration", "URL"),
        (httpx.Response(404, json={}), ConfigurationError, "configuration", "URL"),
        (httpx.Response(404, json=[1]), ConfigurationError, "configuration", "URL"),
        (page(404), ConfigurationError, "configuration", "URL"),
        (page(200), ConfigurationError, "configuration", "URL"),
        (page(307), ConfigurationError, "configuration", "URL"),
        (answer(500), AnswerLost, "store_unavailable", "500"),
        (page(502), AnswerLost, "store_unavailable", "502"),
        (page(503), AnswerLost, "store_unavailable", "503"),
        (page(504), AnswerLost, "store_unavailable", "504"),
        (page(520), AnswerLost, "store_unavailable", "520"),
        (answer(540), AnswerLost, "store_unavailable", "540"),
        (answer(503, "57P01"), Paused, "store_unavailable", "57P01"),
        (answer(500, "57014"), Paused, "store_busy", "57014"),
        (answer(500, "40P01"), Paused, "store_busy", "40P01"),
        (answer(500, "XX000"), Permanent, "refused_by_database", "XX000"),
        (answer(400, "22P02"), Permanent, "invalid_row", "22P02"),
        (answer(409, "23505"), Permanent, "invalid_row", "23505"),
    ],
)
def test_each_answer_has_its_consequence(
    response: httpx.Response, kind: type[XNovuError], code: str, told: str
) -> None:
    found = refusal(response)
    assert (type(found), found.code) == (kind, code)
    assert told in str(found)
    assert "secret" not in str(found)


@pytest.mark.parametrize("status", [401, 403])
def test_a_grant_that_is_missing_asks_which_key_it_is(status: int) -> None:
    message = "permission denied for function claim"
    found = refusal(answer(status, "42501", message=message))
    assert (type(found), found.code) == (Paused, "store_forbidden")
    assert str(found) == f"the database refuses (42501): {message}: is it the service key?"


@pytest.mark.parametrize(
    ("code", "message", "named"),
    [
        (
            "23502",
            'null value in column "tags" of relation "t" violates not-null constraint',
            '"tags"',
        ),
        ("23514", 'new row for relation "t" violates check constraint "c"', '"c"'),
        ("23505", 'duplicate key value violates unique constraint "c"', '"c"'),
        ("23P01", 'conflicting key value violates exclusion constraint "c"', '"c"'),
        (
            "23503",
            'insert or update on table "t" violates foreign key constraint "c"',
            '"c"',
        ),
        (
            "23503",
            'update or delete on table "t" violates foreign key constraint "c" on table "u"',
            '"c"',
        ),
    ],
)
def test_a_row_that_a_constraint_refuses_names_it(code: str, message: str, named: str) -> None:
    assert named in str(refusal(answer(400, code, message=message)))


def test_what_our_own_sql_says_is_told() -> None:
    assert str(refusal(answer(400, "XN002", message='there is no column "x"'))) == (
        'there is no column "x"'
    )


@pytest.mark.parametrize(
    ("header", "after"), [("7", 7.0), ("0", 0.0), ("999999", 3600.0), ("soon", None), ("-1", None)]
)
def test_a_rate_limit_says_how_long_to_wait(header: str, after: float | None) -> None:
    found = refusal(httpx.Response(429, headers={"Retry-After": header}))
    assert isinstance(found, Paused)
    assert found.after == after


@pytest.mark.parametrize("body", ["null", "[]", "0", '{"a": 1}'])
async def test_a_result_passes(body: str) -> None:
    for status in (200, 206):
        await refuse(httpx.Response(status, content=body, headers=JSON))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(SECRET), AnswerLost),
        (httpx.ConnectError(SECRET), Paused),
        (httpx.ConnectTimeout(SECRET), Paused),
        (httpx.PoolTimeout(SECRET), Paused),
        (httpx.ProxyError(SECRET), Paused),
        (httpx.LocalProtocolError(SECRET), Paused),
        (httpx.ReadError(SECRET), AnswerLost),
        (httpx.ReadTimeout(SECRET), AnswerLost),
        (httpx.RemoteProtocolError(SECRET), AnswerLost),
        (httpx.DecodingError(SECRET), AnswerLost),
        (ValueError(SECRET), Permanent),
        (RecursionError(SECRET), Permanent),
    ],
)
def test_each_failure_has_its_consequence(error: Exception, kind: type[XNovuError]) -> None:
    with pytest.raises(XNovuError) as found, translated():
        raise error
    assert type(found.value) is kind
    assert found.value.code == ("invalid_row" if kind is Permanent else "store_unavailable")
    assert "secret" not in str(found.value)
    assert found.value.__suppress_context__


def test_what_is_not_supabases_passes() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("ours")
    with pytest.raises(Permanent, match="ours"), translated():
        raise Permanent("ours", code="x")
