"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_outcomes import (
    TestHistory,
    TestLoad,
    TestRecord,
    TestRedrive,
    TestRetract,
)

__all__ = ["TestHistory", "TestLoad", "TestRecord", "TestRedrive", "TestRetract", "bench"]
