"""The keys of a local Supabase: who is let in, and as which role."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import jwt

Role = Literal["anon", "service_role"]
ALGORITHM = "HS256"
HOUR = 3600
NEVER = 4_102_444_800  # the year 2100: keys live until they are revoked
PREFIXES: dict[Role, str] = {"anon": "sb_publishable_", "service_role": "sb_secret_"}


class Keys:
    """
    The API keys that are valid now, in both of Supabase's kinds, and the secret behind tokens.

    `anon` and `service_role` are legacy keys, JWTs themselves; `publishable` and `secret` are the
    opaque ones that stand for the same roles. All four follow from `jwt_secret` (32 characters or
    more, random by default): who keeps that, keeps them.
    """

    def __init__(self, jwt_secret: str | None = None) -> None:
        self.jwt_secret = jwt_secret or secrets.token_urlsafe(48)
        self.anon = self._role_token("anon")
        self.service_role = self._role_token("service_role")
        self.publishable = self._first("anon")
        self.secret = self._first("service_role")
        self._tokens = {
            self.anon: self.anon,
            self.service_role: self.service_role,
            self.publishable: self.anon,
            self.secret: self.service_role,
        }
        self._revoked: set[str] = set()

    def token(self, key: str) -> str | None:
        """The JWT that an API key stands for; None if it is unknown or revoked."""
        return self._tokens.get(key)

    def claims(self, key_or_token: str) -> Mapping[str, Any]:
        """What an API key or a token says of its bearer; raises jwt.InvalidTokenError."""
        if key_or_token in self._revoked:
            raise jwt.InvalidTokenError("this key was revoked")
        token = self._tokens.get(key_or_token, key_or_token)
        return jwt.decode(
            token,
            self.jwt_secret,
            [ALGORITHM],
            options={"require": ["role", "exp"], "verify_aud": False},
        )

    def add(self, role: Role) -> str:
        """One more opaque key for a role."""
        key = f"{PREFIXES[role]}{secrets.token_urlsafe(16)}_{secrets.token_hex(4)}"
        self._tokens[key] = self._role_token(role)
        return key

    def revoke(self, key: str) -> None:
        """From now on the key lets nobody in; a token signed before stays what it was."""
        self._tokens.pop(key, None)
        self._revoked.add(key)

    def user_token(self, enterprise_id: UUID | str, **claims: object) -> str:
        """
        What a signed-in user of one enterprise sends as `Authorization: Bearer …`.

        It is for the role `authenticated` and expires in an hour, unless `claims` say otherwise.
        """
        now = int(time.time())
        given = {"role": "authenticated", "aud": "authenticated", "iat": now, "exp": now + HOUR}
        return self._signed({**given, "enterprise_id": str(enterprise_id), **claims})

    def _role_token(self, role: Role) -> str:
        return self._signed({"iss": "supabase", "role": role, "exp": NEVER})

    def _signed(self, claims: dict[str, object]) -> str:
        return jwt.encode(claims, self.jwt_secret, ALGORITHM)

    def _first(self, role: Role) -> str:
        digest = hmac.new(self.jwt_secret.encode(), role.encode(), hashlib.sha256).digest()
        name = base64.urlsafe_b64encode(digest[:15]).decode()
        return f"{PREFIXES[role]}{name}_{digest[15:19].hex()}"
