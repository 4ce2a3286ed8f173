"""Servers run beside XNovu on one machine: Postgres, NATS, stand-ins for Novu and Supabase."""
