"""A process that works, needs a file descriptor for each piece of it, and has a health port."""

import asyncio
import resource
import socket
import sys

from xnovu.adapters import logs
from xnovu.adapters.http import HealthServer

DESCRIPTORS = 512
worked = 0


async def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    logs.configure("debug", "json")
    server = HealthServer(
        "127.0.0.1",
        0,
        checks={},
        live=lambda: None,
        status=lambda: {"worked": worked},
        metrics=lambda: ("text/plain", b"up 1\n"),
    )
    await server.start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await work()


async def work() -> None:
    global worked
    while True:
        for each in socket.socketpair():
            each.close()
        worked += 1
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main())
