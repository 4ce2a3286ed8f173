"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_queue import (
    TestClaim,
    TestInsert,
    TestOrder,
    TestTurns,
)

__all__ = ["TestClaim", "TestInsert", "TestOrder", "TestTurns", "bench"]
