"""A local Supabase as a command runs it, without an event loop of its own."""

from pathlib import Path

import httpx
import pytest

from xnovu_local.errors import LocalServerError
from xnovu_local.supabase import Fault, LocalSupabase


def status(supabase: LocalSupabase, key: str) -> int:
    url = f"{supabase.running.url}/rest/v1/"
    return httpx.get(url, headers={"apikey": key}, timeout=60).status_code


def test_keeps_its_address_and_keys(database: str, postgrest_program: Path, tmp_path: Path) -> None:
    with LocalSupabase(database, tmp_path) as first:
        was = first.running
        assert status(first, was.service_key) == status(first, was.keys.publishable) == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(was.url)
    with LocalSupabase(database, tmp_path) as second:
        assert second.running.url == was.url
        assert second.running.keys.jwt_secret == was.keys.jwt_secret
        assert status(second, was.keys.secret) == 200


def test_goes_wrong_when_told(database: str, postgrest_program: Path, tmp_path: Path) -> None:
    with LocalSupabase(database, tmp_path) as supabase:
        supabase.running.faults.script(Fault("status", 503))
        key = supabase.running.service_key
        assert [status(supabase, key) for _ in range(2)] == [503, 200]


def test_what_does_not_start_leaves_nothing(
    database: str, postgrest_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supabase = LocalSupabase(database, tmp_path)
    with monkeypatch.context() as patched:
        patched.setenv("XNOVU_POSTGREST_BIN", "/none")
        with pytest.raises(LocalServerError, match="XNOVU_POSTGREST_BIN"):
            supabase.start()
    with pytest.raises(LocalServerError, match="start it first"):
        _ = supabase.running
    with supabase:
        assert status(supabase, supabase.running.anon_key) == 200
