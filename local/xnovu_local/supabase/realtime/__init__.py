"""A Supabase Realtime of your own: Postgres changes over websockets, with faults on purpose."""

from xnovu_local.supabase.keys import Keys

from .faults import Entry, Faults, Log
from .keys import Claims
from .options import RealtimeOptions
from .server import RunningRealtime, local_realtime, running_realtime
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
    "local_realtime",
    "running_realtime",
]
