"""Whether a local server says over HTTP that it is ready."""

import socket
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from xnovu_local.ports import LOOPBACK


def accepts(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def says_ready(port: int, path: str) -> bool:
    """Whether this page of the server on this port answers 200, within two seconds."""
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
