"""What operators read: one line per fact, JSON in containers, with nothing private in it."""

from xnovu.adapters.logs.observer import LogObserver
from xnovu.adapters.logs.setup import Output, configure
from xnovu.adapters.logs.speech import logger, namespaces, speak_up

__all__ = ["LogObserver", "Output", "configure", "logger", "namespaces", "speak_up"]
