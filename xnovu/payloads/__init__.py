"""What a row may be, and whether its payload is what its workflow registered."""

from xnovu.payloads.bounds import RowOptions, check_bounds
from xnovu.payloads.checker import Check, PayloadChecker

__all__ = ["Check", "PayloadChecker", "RowOptions", "check_bounds"]
