"""Servers run beside XNovu on one machine: Postgres, NATS and a stand-in for Novu."""
