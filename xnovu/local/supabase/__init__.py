"""A Supabase of your own: stand-ins for what surrounds its Postgres."""
