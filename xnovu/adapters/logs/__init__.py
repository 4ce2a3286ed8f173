"""What operators read: one line per fact, JSON in containers, with nothing private in it."""

from xnovu.adapters.logs.observer import LogObserver
from xnovu.adapters.logs.setup import Output, configure

__all__ = ["LogObserver", "Output", "configure"]
