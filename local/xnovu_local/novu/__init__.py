"""A Novu of your own: a stand-in of its event API for demo, tests and benchmarks."""

from .app import create_app
from .calls import Call
from .clock import Clock, LoopClock, ManualClock
from .faults import Fault
from .options import LocalNovuOptions
from .server import RunningNovu, running_novu, serve
from .state import LocalNovu
from .workflows import Step, Workflow

__all__ = [
    "Call",
    "Clock",
    "Fault",
    "LocalNovu",
    "LocalNovuOptions",
    "LoopClock",
    "ManualClock",
    "RunningNovu",
    "Step",
    "Workflow",
    "create_app",
    "running_novu",
    "serve",
]
