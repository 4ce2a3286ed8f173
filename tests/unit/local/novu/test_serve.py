"""The local Novu as a process of its own."""

import asyncio
import signal
import socket
import sys

import httpx

from tests.conftest import eventually

PROGRAM = """
import asyncio, sys
from xnovu_local.novu import Fault, LocalNovuOptions, serve
asyncio.run(serve(LocalNovuOptions(api_key="secret"), port=int(sys.argv[1])))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def test_serves_until_it_is_told_to_stop() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", PROGRAM, str(port), stderr=asyncio.subprocess.PIPE
    )
    headers = {"Authorization": "ApiKey secret"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/")).status_code == 200
            except httpx.ConnectError:
                return False

        await eventually(answers)
        sent = await client.post("/v1/events/trigger", json={"name": "w", "to": "ada"})
        assert sent.status_code == 201
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert errors == b""
    assert process.returncode == 0
