"""Measurements and trials of the whole system: not part of the product."""
