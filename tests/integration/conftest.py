"""The fixtures of the integration suites."""

from tests.supabase_fixtures import postgrest_program, project, supabase

__all__ = ["postgrest_program", "project", "supabase"]
