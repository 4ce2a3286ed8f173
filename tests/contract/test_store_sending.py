"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_sending import (
    TestBeginSend,
    TestDeadline,
    TestEnded,
    TestEndSend,
    TestMoved,
)

__all__ = ["TestBeginSend", "TestDeadline", "TestEndSend", "TestEnded", "TestMoved", "bench"]
