"""A Supabase Realtime of your own: Postgres changes over websockets, with faults on purpose."""

from .app import create_app, realtime_routes
from .faults import Entry, Faults, Log
from .keys import Claims, Keys
from .options import RealtimeOptions
from .server import RunningRealtime, running_realtime
from .state import LocalRealtime

__all__ = [
    "Claims",
    "Entry",
    "Faults",
    "Keys",
    "LocalRealtime",
    "Log",
    "RealtimeOptions",
    "RunningRealtime",
    "create_app",
    "realtime_routes",
    "running_realtime",
]
