"""
How a user proves to NATS who it is without a password: by the signature of its seed.

The forms are those of github.com/nats-io/nkeys and of a ``.creds`` file as ``nsc`` writes it.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from xnovu.errors import ConfigurationError

SEED, USER = 18 << 3, 20 << 3
"""The first bits of a seed, and of a user: they are an S and a U in base 32."""
SIZE = 36
"""Bytes of a seed: two that tell its kind, 32, and a checksum."""
_BLOCK = r"-----BEGIN {}-----\s*([\w.=-]+)\s*-+END {}-+"
_JWT = re.compile(_BLOCK.format("NATS USER JWT", "NATS USER JWT"))
_SEED = re.compile(_BLOCK.format("USER NKEY SEED", "USER NKEY SEED"))


@dataclass(frozen=True, slots=True)
class UserKey:
    """A user's key pair."""

    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of_seed(cls, text: str) -> "UserKey":
        """Raises ConfigurationError: it is no seed of a user; never says what it is."""
        try:
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except (binascii.Error, ValueError):
            raw = b""
        kind = (raw[0] & 0b111) << 5 | raw[1] >> 3 if len(raw) == SIZE else 0
        sound = len(raw) == SIZE and binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") == raw[-2:]
        if not sound or raw[0] & 0b11111000 != SEED or kind != USER:
            raise ConfigurationError("the nkey is no seed of a user: those begin with SU")
        return cls(Ed25519PrivateKey.from_private_bytes(raw[2:-2]))

    @property
    def public(self) -> str:
        """Its name, as the server's configuration has it."""
        named = bytes([USER]) + self._private.public_key().public_bytes_raw()
        whole = named + binascii.crc_hqx(named, 0).to_bytes(2, "little")
        return base64.b32encode(whole).decode().rstrip("=")

    def sign(self, nonce: str) -> bytes:
        """The proof that the server asks for."""
        return base64.b64encode(self._private.sign(nonce.encode()))


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """What a ``.creds`` file holds: who the user is, as its account has signed it, and its key."""

    jwt: str = field(repr=False)
    key: UserKey

    @classmethod
    def of_text(cls, text: str) -> "UserCredentials":
        """Raises ConfigurationError: something is missing; never says what is there."""
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if not (jwt and seed):
            missing = "NATS USER JWT" if seed else "USER NKEY SEED"
            raise ConfigurationError(f"the credentials have no block {missing}")
        return cls(jwt[1], UserKey.of_seed(seed[1]))
