"""
How one is let in at NATS: by files that are read anew, over TLS, and never in the clear.

Each error says where, what was refused and what to do, and never a secret.
"""

import asyncio
import base64
import binascii
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import captured, namespace
from tests.conftest import eventually
from xnovu.adapters.nats.address import Access, access_of
from xnovu.adapters.nats.nkeys import UserCredentials, UserKey
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.compose.broker import nats_access
from xnovu.compose.secrets import NATS_CREDS, NATS_NKEY, NATS_PASSWORD, NATS_USER
from xnovu.compose.settings import Settings
from xnovu.errors import ConfigurationError
from xnovu_local.nats import EmbeddedNats

SECRETS = (NATS_CREDS, NATS_NKEY, NATS_PASSWORD, NATS_USER)
PREFIX = bytes([18 << 3 | 20 << 3 >> 5, (20 << 3 & 31) << 3])


def a_seed(number: int = 1) -> str:
    """As `nk -gen user` makes one."""
    raw = PREFIX + bytes([number]) * 32
    return base64.b32encode(raw + checksum(raw)).decode().rstrip("=")


def checksum(raw: bytes) -> bytes:
    return binascii.crc_hqx(raw, 0).to_bytes(2, "little")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch):
    for name in (*SECRETS, "XNOVU_NATS_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


class Files:
    """The secrets of one installation, each in a file that its variable names."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, monkeypatch

    def write(self, **secrets: str) -> None:
        for name, text in secrets.items():
            file = self._folder / name
            file.write_text(f"{text}\n")
            self._patch.setenv(f"XNOVU_NATS_{name.upper()}_FILE", str(file))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def access(server: EmbeddedNats, **transport: str) -> Access:
    return nats_access(Settings(transport=NatsOptions(url=server.url, **transport)))  # pyright: ignore[reportArgumentType]


def server_of(folder: Path, **settings: str) -> EmbeddedNats:
    return EmbeddedNats(folder / "nats", settings=settings)


async def goes_through(reached: Access) -> bool:
    """Whether a message of one's own can be published there."""
    options = NatsOptions(**namespace())
    await provision(reached, options, {})
    transport = NatsTransport(options, reached)
    await transport.start()
    try:
        return await transport.publish([captured(1)]) == [None]
    finally:
        await transport.stop()


async def refusal(reached: Access) -> str:
    transport = NatsTransport(NatsOptions(), reached)
    with pytest.raises(ConfigurationError) as caught:
        await transport.start()
    await transport.stop()
    return str(caught.value)


async def test_an_nkey(tmp_path: Path, files: Files):
    seed = a_seed()
    users = f'{{users: [{{nkey: "{UserKey.of_seed(seed).public}"}}]}}'
    with server_of(tmp_path, authorization=users) as server:
        files.write(nkey=seed)
        assert await goes_through(access(server))
        files.write(nkey=a_seed(2))
        said = await refusal(access(server))
    assert UserKey.of_seed(a_seed(2)).public in said
    assert server.url in said
    assert a_seed(2) not in said


OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
"""The first bits of whose key it is: an O, an A and a U in base 32 (github.com/nats-io/nkeys)."""
EVERYTHING = dict.fromkeys(("subs", "data", "payload", "conn", "leaf", "imports", "exports"), -1)
STORING = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


@dataclass(frozen=True)
class Party:
    """Somebody who signs, or is signed for."""

    kind: int
    number: int

    @property
    def name(self) -> str:
        raw = bytes([self.kind]) + self._key.public_key().public_bytes_raw()
        return base64.b32encode(raw + checksum(raw)).decode().rstrip("=")

    def signs(self, other: "Party", **claims: object) -> str:
        """A token as `nsc` makes one (github.com/nats-io/jwt, version 2)."""
        about = {"iat": 1, "iss": self.name, "sub": other.name, "name": "test", "jti": "test"}
        claims = {**about, "nats": {"version": 2, **claims}}
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        signed = ".".join(map(part_of_a_token, (json.dumps(head), json.dumps(claims))))
        return f"{signed}.{part_of_a_token(self._key.sign(signed.encode()))}"

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.number]) * 32)


def part_of_a_token(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_creds_that_an_account_has_signed(tmp_path: Path, files: Files):
    """On a server that knows its operator and no user; who is no user of the account is refused."""
    operator, account, user = Party(OPERATOR, 3), Party(ACCOUNT, 4), Party(USER, 1)
    system = Party(ACCOUNT, 6)  # which may have no JetStream
    limits = {account: {**EVERYTHING, **STORING}, system: EVERYTHING}
    known = {
        each.name: operator.signs(each, type="account", limits={**most, "wildcards": True})
        for each, most in limits.items()
    }
    settings = {
        "operator": json.dumps(operator.signs(operator, type="operator")),
        "resolver": "MEMORY",
        "resolver_preload": json.dumps(known),
        "system_account": system.name,
    }

    def creds(signer: Party) -> str:
        token = signer.signs(user, type="user", subs=-1, data=-1, payload=-1)
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{a_seed()}\n------END USER NKEY SEED------\n"
        )

    with server_of(tmp_path, **settings) as server:
        files.write(creds=creds(account))
        assert await goes_through(access(server))
        files.write(creds=creds(Party(ACCOUNT, 5)))
        said = await refusal(access(server))
    assert server.url in said
    assert a_seed() not in said
    assert "eyJ" not in said


async def test_a_user_and_a_password_in_files_that_are_replaced(tmp_path: Path, files: Files):
    """Who is at work goes on with the new one, once the server has let him in with the old."""
    files.write(user="trigger", password="first")
    with server_of(tmp_path, authorization="{user: trigger, password: first}") as server:
        transport = NatsTransport(NatsOptions(**namespace()), access(server))
        await transport.start()
        url = server.url
    files.write(password="second")
    with server_of(tmp_path, authorization="{user: trigger, password: second}") as server:
        assert server.url == url
        await eventually(lambda: transport.broker.client)
        files.write(password="third")
        said = await refusal(access(server))
    await transport.stop()
    assert "user 'trigger'" in said
    assert "third" not in said


def test_a_creds_file_holds_who_one_is_and_the_key():
    text = (
        "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{a_seed()}\n------END USER NKEY SEED------\n"
    )
    read = UserCredentials.of_text(text)
    assert (read.jwt, read.key.public) == ("eyJ0.eyJq.c2ln", UserKey.of_seed(a_seed()).public)
    known = replace(access_of("nats://h:1"), creds=lambda: text)
    given = known.introduction()
    assert given["user_jwt_cb"]() == b"eyJ0.eyJq.c2ln"
    Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32).public_key().verify(
        base64.b64decode(given["signature_cb"]("nonce")), b"nonce"
    )
    assert a_seed() not in repr(known)
    assert "eyJ0" not in repr(known)


@given(text=st.text(max_size=90) | st.integers(0, 57).map(lambda n: a_seed()[:n]))
def test_what_is_no_seed_is_refused_and_not_repeated(text: str):
    with pytest.raises(ConfigurationError) as caught:
        UserKey.of_seed(text)
    assert len(text) < 4 or text not in str(caught.value)
    with pytest.raises(ConfigurationError):
        UserCredentials.of_text(text)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An authority, and what it has signed: a server's and a client's certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    named = {name: str(folder / name) for name in ("ca", "ca.key")}
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=authority", "-days", "2",
            "-keyout", named["ca.key"], "-out", named["ca"])  # fmt: skip
    for who in ("server", "client"):
        key, request, signed = (str(folder / f"{who}{end}") for end in (".key", ".csr", ""))
        alternative = folder / "names"
        alternative.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("req", "-newkey", "ed25519", "-nodes", "-subj", f"/CN={who}", "-keyout", key,
                "-out", request)  # fmt: skip
        by = ("-CA", named["ca"], "-CAkey", named["ca.key"], "-CAcreateserial", "-days", "2")
        openssl("x509", "-req", "-in", request, *by, "-extfile", str(alternative), "-out", signed)
        named |= {who: signed, f"{who}.key": key}
    return named


def openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)


def tls(certificates: Mapping[str, str], *more: str) -> str:
    """The server's part of its configuration."""
    named = {"cert_file": "server", "key_file": "server.key", "ca_file": "ca"}
    lines = [f'{name}: "{certificates[file]}"' for name, file in named.items()]
    return "{" + ", ".join([*lines, *more]) + "}"


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path, certificates: Mapping[str, str]):
    with server_of(tmp_path, tls=tls(certificates)) as server:
        assert await goes_through(access(server, tls_ca=certificates["ca"]))


async def test_a_client_shows_its_certificate(tmp_path: Path, certificates: Mapping[str, str]):
    own = {"tls_cert": certificates["client"], "tls_key": certificates["client.key"]}
    with server_of(tmp_path, tls=tls(certificates, "verify: true")) as server:
        assert await goes_through(access(server, tls_ca=certificates["ca"], **own))


async def test_a_certificate_that_nobody_known_has_signed_is_refused_and_the_way_out_is_told(
    tmp_path: Path, certificates: Mapping[str, str]
):
    with server_of(tmp_path, tls=tls(certificates)) as server:
        said = await trouble(access(server))
    assert server.url.removeprefix("nats://") in said
    assert "transport.tls_ca" in said


async def trouble(reached: Access) -> str:
    """What a transport says that waits for its server."""
    transport = NatsTransport(NatsOptions(), reached)
    starting = asyncio.create_task(transport.start())
    try:
        await eventually(lambda: "transport." in transport.broker.trouble)
        return transport.broker.trouble
    finally:
        starting.cancel()
        await asyncio.wait([starting])
        await transport.stop()


@pytest.mark.parametrize("asked_for", ["tls://", "tls_ca"])
async def test_where_tls_was_asked_for_nothing_is_said_in_the_clear(
    tmp_path: Path, certificates: Mapping[str, str], asked_for: str
):
    """nats-py by itself takes a server without TLS, and tells it the password."""
    with server_of(tmp_path) as server:
        where = server.url.replace("nats://", "tls://" if asked_for == "tls://" else "nats://")
        options = {"tls_ca": certificates["ca"]} if asked_for == "tls_ca" else {}
        reached = access_of(where.replace("//", "//me:hush@"), NatsOptions(**options))  # pyright: ignore[reportArgumentType]
        said = await refusal(reached)
    assert "TLS was asked for" in said
    assert server.url.partition("//")[2] in said
    assert "hush" not in said


async def test_a_file_that_is_no_certificate_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"tls_ca, tls_cert or tls_key cannot be used"):
        access_of("tls://h:1", NatsOptions(tls_ca=str(tmp_path / "none"))).introduction()


async def test_one_of_several_servers_is_enough(tmp_path: Path):
    with server_of(tmp_path, authorization="{user: me, password: hush}") as server:
        here = server.url.removeprefix("nats://")
        several = f"nats://me:hush@127.0.0.1:1,nats://{here}"
        assert await goes_through(access_of(several))
        assert access_of(several).servers == ["nats://127.0.0.1:1", server.url]
