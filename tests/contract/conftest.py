"""The fixtures of the contract suites: one module per port."""

from tests.supabase_fixtures import postgrest_program

__all__ = ["postgrest_program"]
