"""A Supabase of your own: roles, PostgREST and a gateway over any Postgres database."""

from .faults import Fault, FaultScript
from .keys import Keys
from .postgrest import Postgrest, PostgrestOptions
from .postgrest_binary import PostgrestMissing, postgrest_binary
from .roles import prepare
from .running import RunningSupabase, running_supabase

__all__ = [
    "Fault",
    "FaultScript",
    "Keys",
    "Postgrest",
    "PostgrestMissing",
    "PostgrestOptions",
    "RunningSupabase",
    "postgrest_binary",
    "prepare",
    "running_supabase",
]
