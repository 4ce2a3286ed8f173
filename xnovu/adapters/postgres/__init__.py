"""Postgres as the store, its own wake-ups, and the migrations that make its schema."""
