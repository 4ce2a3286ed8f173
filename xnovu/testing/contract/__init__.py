"""
The suites that every provider, transport and store must pass, as classes for pytest to collect.

That of a store is in the modules ``store_…``: import their classes into a test module that has a
fixture ``bench``, a :class:`~xnovu.testing.contract.store_bench.Bench`.

They need pytest and pytest-asyncio (``pip install 'xnovu[testing]'``).
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{suite.name}" for suite in iter_modules(__path__)))

from xnovu.testing.contract.provider import ProviderContract, World  # noqa: E402
from xnovu.testing.contract.transport import Bench, TransportContract  # noqa: E402

__all__ = ["Bench", "ProviderContract", "TransportContract", "World"]
