"""Nobody gets in: what a forger tries, and what becomes of it."""
