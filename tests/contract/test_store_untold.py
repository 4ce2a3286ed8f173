"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_untold import (
    TestUntold,
)

__all__ = ["TestUntold", "bench"]
