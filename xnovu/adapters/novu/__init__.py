"""Novu, the service that reaches people: ``Provider`` over its REST API."""

from xnovu.adapters.novu.options import NovuOptions
from xnovu.adapters.novu.provider import NovuProvider

__all__ = ["NovuOptions", "NovuProvider"]
