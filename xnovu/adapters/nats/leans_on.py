"""
What this package touches of FastStream and nats-py that they do not document, and why.

It is looked for when a broker is made. The versions are bounded: a new one has to pass the stress
test of the pull loop first.
"""

from importlib.metadata import version

from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.client import Client

from xnovu.errors import ConfigurationError

LEANS_ON: dict[type, tuple[str, ...]] = {
    # A batch's messages are written to the buffer one after another, and none of them waits; and
    # nothing is said of us to a server before it has shown who it is.
    Client: ("_send_command", "_connect_command", "ssl_context"),
    # Its client gives up for good on some errors. Ours is made anew, with credentials that are
    # read anew, by _connect, and handed to whoever holds one (_connection, config).
    NatsBroker: ("_connect", "stop", "connect"),
    # Its pull loop loses deliveries under load, and nothing else gives it another. What ours
    # pulls is consumed as its own would be: with middlewares, context and dependencies.
    BatchPullStreamSubscriber: ("_create_subscription", "consume", "running", "stop"),
}
"""Of each class these, some of them public and overridden."""


def require_leans_on() -> None:
    """Raise ConfigurationError where a library is not as it was."""
    for owner, names in LEANS_ON.items():
        require(owner, *names)


def require(owner: object, *names: str) -> None:
    """Raise ConfigurationError where a class, or one made of it, has not got these."""
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        made_as = owner if isinstance(owner, type) else type(owner)
        library = "nats-py" if issubclass(made_as, Client) else "faststream"
        raise ConfigurationError(
            f"{library} {version(library)} does not fit this XNovu:"
            f" {made_as.__name__} has no {', '.join(missing)}"
        )
