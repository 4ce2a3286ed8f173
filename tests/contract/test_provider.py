"""Every provider passes the suite of ``xnovu.testing``."""

from collections.abc import AsyncIterator

import pytest

from tests.webhook_receiver import SECRET, receiving
from xnovu.adapters.memory.provider import MemoryProvider
from xnovu.adapters.novu import NovuOptions, NovuProvider
from xnovu.adapters.webhook import WebhookOptions, WebhookProvider
from xnovu.errors import Paused, Permanent, XNovuError
from xnovu.testing.contract import ProviderContract, World
from xnovu.testing.contract.provider import REFUSED
from xnovu_local.novu import Fault, Step, Workflow, running_novu

DOWN = ("trigger", "bulk", "cancel")


class TestMemory(ProviderContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        provider = MemoryProvider(delayed=["digest"], in_app=["inbox"])
        refused: dict[int, XNovuError] = {REFUSED: Permanent("no", code="provider_refused")}
        away = Paused("away", code="provider_unavailable")
        provider.refusals.update(refused)
        yield World(
            provider,
            lambda one: int(one in provider.accepted),
            lambda: provider.refusals.update(dict.fromkeys(range(200), away)),
            lambda: (provider.refusals.clear(), provider.refusals.update(refused))[0],
        )


class TestNovu(ProviderContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        workflows = [
            Workflow("welcome", steps=(Step("email"),)),
            Workflow("inbox"),
            Workflow("digest", steps=(Step("email", delay=3600),)),
            Workflow("refused", refuses="error"),
        ]
        async with running_novu(workflows=workflows) as running:
            provider = NovuProvider(NovuOptions(url=running.url), lambda: "key")
            await provider.open()
            faults = running.novu.faults
            yield World(
                provider,
                lambda one: entry.fan_outs if (entry := running.novu.ledger.find(one)) else 0,
                lambda: faults.script(*[Fault("503", endpoint=e, count=None) for e in DOWN]),
                faults.clear,
            )
            await provider.close()


WHOLE = {"look_up_url": "/calls/{transaction_id}", "cancel_url": "/calls/{transaction_id}"}


class TestWebhook(ProviderContract):
    """With a look-up and a cancellation; without them, and then by the webhook's own memory."""

    @pytest.fixture(params=[WHOLE, {"resend": True}], ids=["whole", "plain"])
    async def world(self, request: pytest.FixtureRequest) -> AsyncIterator[World]:
        async with receiving() as receiver:
            paths = {n: f"{receiver.url}{p}" for n, p in request.param.items() if n != "resend"}
            options = WebhookOptions(
                url=f"{receiver.url}/hook", resend="resend" in request.param, **paths
            )
            provider = WebhookProvider(options, lambda: SECRET)
            await provider.open()
            yield World(
                provider,
                lambda one: int(one in receiver.taken),
                lambda: setattr(receiver, "down", True),
                lambda: setattr(receiver, "down", False),
                looks_up=bool(paths),
                recalls=bool(paths),
            )
            await provider.close()
            assert receiver.wrong == []
