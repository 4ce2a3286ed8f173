"""Supabase: the store over its REST API."""
