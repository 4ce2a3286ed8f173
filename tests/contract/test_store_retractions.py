"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_retractions import (
    TestBeginRetraction,
    TestClaimRetractions,
    TestRecordRetractions,
    TestRetract,
)

__all__ = [
    "TestBeginRetraction",
    "TestClaimRetractions",
    "TestRecordRetractions",
    "TestRetract",
    "bench",
]
