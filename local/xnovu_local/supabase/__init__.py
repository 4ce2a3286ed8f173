"""A Supabase of your own: roles, PostgREST and a gateway over any Postgres database."""

from xnovu_local.faults import FaultScript

from .background import LocalSupabase
from .faults import Fault
from .keys import Keys
from .postgrest import Postgrest, PostgrestOptions
from .postgrest_binary import PostgrestMissing, find_postgrest
from .roles import prepare
from .running import Realtime, RunningSupabase, running_supabase

__all__ = [
    "Fault",
    "FaultScript",
    "Keys",
    "LocalSupabase",
    "Postgrest",
    "PostgrestMissing",
    "PostgrestOptions",
    "Realtime",
    "RunningSupabase",
    "find_postgrest",
    "prepare",
    "running_supabase",
]
