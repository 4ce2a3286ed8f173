"""Where Realtime is, and when a token ends."""

import base64
import json
import time

import pytest

from xnovu.adapters.supabase.realtime_access import Credentials, seconds_left
from xnovu.errors import ConfigurationError


def jwt(claims: object) -> str:
    """A token whose signature nobody looks at."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.signature"


def at(url: str) -> str:
    return Credentials(lambda: url, lambda: "key").access().url


def test_realtime_is_a_part_of_the_project() -> None:
    assert at("https://abc.supabase.co/ ") == "https://abc.supabase.co/realtime/v1"
    assert at("http://127.0.0.1:54321") == "http://127.0.0.1:54321/realtime/v1"


@pytest.mark.parametrize("url", ["", "abc.supabase.co", "https://user:secret@abc.supabase.co"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be http"):
        at(url)


def left(token: str, zero: float | None) -> float | None:
    """Of a token that came a minute ago."""
    return seconds_left(token, time.monotonic() - 60, zero)


@pytest.mark.parametrize("issued", [{}, {"iat": 1_000}, {"iat": 9_000_000_000}], ids=str)
def test_a_token_ends_by_the_clock_of_the_server(issued: dict[str, int]) -> None:
    zero = 4_102_444_700 - time.monotonic()
    assert left(jwt({"exp": 4_102_444_800, **issued}), zero) == pytest.approx(100, abs=10)


def test_where_no_clock_is_told_a_token_was_new_when_it_came() -> None:
    token = jwt({"iat": 4_102_441_200, "exp": 4_102_444_800})
    assert left(token, None) == pytest.approx(3540, abs=10)
    assert left(jwt({"exp": 4_102_444_800}), None) is None


@pytest.mark.parametrize(
    "token", ["", "sb_secret_abc", "a.b.c", "a.é.c", jwt({"role": "anon"}), jwt([]), jwt(None)]
)
@pytest.mark.parametrize("zero", [None, 0.0])
def test_what_is_no_such_token_never_ends(token: str, zero: float | None) -> None:
    assert left(token, zero) is None
