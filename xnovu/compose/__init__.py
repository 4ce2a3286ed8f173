"""The one place where parts are chosen and joined; only the apps and the command import it."""

from xnovu.compose.kit import Kit
from xnovu.compose.serve import Part, serve
from xnovu.compose.settings import Settings

__all__ = ["Kit", "Part", "Settings", "serve"]
