"""Keys: what they look like and what they stand for."""

import time
from typing import Any
from uuid import UUID

import jwt
import pytest

from xnovu_local.supabase import Keys


def claims(keys: Keys, token: str | None) -> dict[str, Any]:
    return jwt.decode(token or "", keys.jwt_secret, ["HS256"], audience="authenticated")


def test_all_first_keys_follow_from_the_secret() -> None:
    keys = Keys()
    same = Keys(keys.jwt_secret)
    for name in ("anon", "service_role", "publishable", "secret"):
        assert getattr(keys, name) == getattr(same, name) != getattr(Keys(), name)


def test_opaque_keys_look_like_supabases() -> None:
    keys = Keys()
    assert keys.publishable.startswith("sb_publishable_")
    assert keys.secret.startswith("sb_secret_")
    assert keys.add("anon").startswith("sb_publishable_")
    assert keys.add("service_role") != keys.add("service_role")


def test_a_revoked_key_stands_for_nothing() -> None:
    keys = Keys()
    for key in (keys.anon, keys.secret, keys.add("anon")):
        assert keys.token(key)
        keys.revoke(key)
        keys.revoke(key)
        assert keys.token(key) is None
    assert keys.token(keys.service_role) == keys.service_role
    assert keys.token(keys.publishable) == keys.anon


def test_a_users_token_names_the_enterprise_and_expires() -> None:
    keys = Keys()
    found = claims(keys, keys.user_token(UUID(int=1)))
    assert found["role"] == "authenticated"
    assert found["enterprise_id"] == str(UUID(int=1))
    assert 0 < found["exp"] - time.time() <= 3600
    with pytest.raises(jwt.ExpiredSignatureError):
        claims(keys, keys.user_token("one", exp=1))
    assert claims(keys, keys.user_token("one", sub="ada"))["sub"] == "ada"
