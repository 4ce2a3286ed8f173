"""What docs/embedding.md shows is run as it stands there."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.conftest import eventually
from tests.integration.pipeline import World, brokerless

PAGE = Path(__file__).parents[2] / "docs/embedding.md"
SERVICE, WEB = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
EXAMPLE = UUID("0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11")


@pytest.fixture
async def example(
    migrated: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[World]:
    """The page's enterprise, and the settings where the page has them."""
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parents[1]))
    monkeypatch.chdir(tmp_path)
    async with brokerless(migrated, monkeypatch) as here:
        monkeypatch.setenv("XNOVU_PROVIDER__URL", here.settings.provider.url)
        here.register(EXAMPLE)
        yield here


async def test_the_service(example: World):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, stdout=asyncio.subprocess.PIPE, preexec_fn=_interruptible
    )
    try:
        assert process.stdout
        assert b"is_active=True" in await process.stdout.readline()
        sent, failed = example.insert(EXAMPLE), example.insert(EXAMPLE, recipients=[])
        told = {(await process.stdout.readline()).decode().strip() for _ in range(3)}
        process.send_signal(signal.SIGINT)
        rest = await process.stdout.read()
        assert (await process.wait(), rest) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
    assert told == {
        f"{sent} SENT",
        f"{failed} FAILED",
        f"recipients_invalid notification {failed}: recipients is empty",
    }


def _interruptible() -> None:
    """Who is run in the background by a shell ignores SIGINT, and so would the service."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def test_the_web_service(example: World):
    names: dict[str, Any] = {}
    exec(compile(WEB, str(PAGE), "exec"), names)
    app, manager = names["app"], names["manager"]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        await eventually(lambda: manager.get_status().connection.state == "connected")
        await example.ended(example.insert(EXAMPLE))
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()) == (
            200,
            {"connection": "connected", "waiting": 0, "trouble": None},
        )
    assert not manager.get_status().is_active
