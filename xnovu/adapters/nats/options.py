"""What an operator sets."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from xnovu.errors import ConfigurationError
from xnovu.options import Seconds, TransportOptions


def _open(url: str) -> str:
    """Credentials are no setting."""
    if "@" in url:
        raise ValueError("must hold no credentials: put the whole URL in XNOVU_NATS_URL")
    return url


class NatsOptions(TransportOptions, frozen=True):
    """
    The ``[transport]`` table when ``kind = "nats"``.

    ``prefix`` begins every subject and, in capitals, every stream. ``publish_timeout`` is how long
    to wait for the broker's confirmation, ``lease`` how long a message is left with a worker that
    shows no sign of life, ``stop_timeout`` how long the batches in hand may take at shutdown
    (seconds). So long after a worker was killed the messages that it had in hand come again.

    ``tls_ca`` is the certificate of who has signed the server's, ``tls_cert`` and ``tls_key`` are
    the client's own (files). With any of them, or a ``tls://`` URL, nothing is said in the clear.
    ``inbox_prefix`` begins the subjects on which answers come: a user of its own right only.

    The rest is the streams': how many days and bytes each keeps (``None``: as many as come), for
    how many seconds a repeated message is recognised, and on how many servers it lives.
    """

    kind: Literal["nats"] = "nats"
    url: Annotated[str, AfterValidator(_open)] = "nats://localhost:4222"
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    inbox_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")] = "_INBOX"
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "xnovu"
    publish_timeout: Seconds = 5.0
    lease: Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)] = 10.0
    retention_days: Annotated[float, Field(ge=0.01, le=3650, allow_inf_nan=False)] = 7.0
    max_bytes: Annotated[int, Field(ge=1_000_000)] | None = None
    duplicate_window: Annotated[float, Field(ge=120, le=86_400, allow_inf_nan=False)] = 120.0
    replicas: Annotated[int, Field(ge=1, le=5)] = 1


SCHEMES = ("nats", "tls", "ws", "wss")


def require_url(text: str) -> None:
    """Raises ConfigurationError, without the text, where it names no server."""
    for part in text.split(","):
        try:
            url = urlsplit(part.strip() if "://" in part else f"nats://{part.strip()}")
            fits = url.scheme in SCHEMES and url.hostname and url.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise ConfigurationError(
                "is no address of NATS, such as nats://host:4222 or tls://user:password@host:4222"
                " (several: with commas between)"
            )
