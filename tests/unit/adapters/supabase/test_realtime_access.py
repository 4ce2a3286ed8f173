"""Where Realtime is, and when a token ends."""

import base64
import json

import pytest

from xnovu.adapters.supabase.realtime_access import Credentials, expiry
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


def test_a_token_tells_when_it_ends() -> None:
    assert expiry(jwt({"exp": 4_102_444_800, "role": "authenticated"})) == 4_102_444_800


@pytest.mark.parametrize(
    "token", ["", "sb_secret_abc", "a.b.c", "a.é.c", jwt({"role": "anon"}), jwt([]), jwt(None)]
)
def test_what_is_no_such_token_never_ends(token: str) -> None:
    assert expiry(token) is None
