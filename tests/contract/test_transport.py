"""Every transport passes the suite of ``xnovu.testing``."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.transport_fixtures import TRANSPORTS
from xnovu.testing.contract import Bench, TransportContract


class TestTransports(TransportContract):
    @pytest.fixture(params=TRANSPORTS, ids=lambda make: make.__name__)
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
        async for bench in request.param(request):
            yield bench
