"""
Whole installations under random faults, and the ledger at the end.

Everything is real (stages in processes of their own, nats-server, Postgres) but Novu, which is the
local one. A seed decides what goes wrong and when; the same seed goes wrong in the same way.
"""
