"""Free ports on the loopback interface."""

import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below the ephemeral ports: there, a client that keeps knocking at a killed server's port may be
# given that very port as its own, connect to itself and keep the server from coming back.
FIRST, LAST = 15_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now (just closed connections do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on."""
    while not is_free(port := FIRST + secrets.randbelow(LAST - FIRST)):
        pass
    return port
