"""What can go wrong with a local server."""

from xnovu.errors import ConfigurationError


class LocalServerError(ConfigurationError):
    """A local server cannot run: the message names it and the way out."""
