"""Supabase: the store over its REST API, and wake-ups by its Realtime."""
