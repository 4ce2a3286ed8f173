"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench  # noqa: F401 - the suite asks for it
from xnovu.testing.contract.store_limits import (  # noqa: F401 - pytest collects them
    TestConcurrency,
    TestExpress,
    TestLimits,
    TestRate,
    TestWaiting,
    TestWeight,
    TestWorkflow,
    TestWorkflows,
)
