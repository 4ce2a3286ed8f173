"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_scope import (
    TestFailed,
    TestNextDue,
    TestOneEnterprise,
    TestOperations,
    TestRelease,
)

__all__ = [
    "TestFailed",
    "TestNextDue",
    "TestOneEnterprise",
    "TestOperations",
    "TestRelease",
    "bench",
]
