"""The one place where parts are chosen and joined; only the apps and the command import it."""

from xnovu.adapters.nats import Middleware
from xnovu.compose.apps import App, on_demand
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.compose.serve import serve
from xnovu.compose.settings import Settings

__all__ = ["App", "Kit", "Middleware", "Part", "Settings", "on_demand", "serve"]
