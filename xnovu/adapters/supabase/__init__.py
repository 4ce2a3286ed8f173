"""Supabase: its Realtime as wake-ups."""

from xnovu.adapters.supabase.realtime import Patience, RealtimeOptions, RealtimeWakeUps

__all__ = ["Patience", "RealtimeOptions", "RealtimeWakeUps"]
