"""What can go wrong with a local server."""


class LocalServerError(RuntimeError):
    """A local server cannot run: the message names it and the way out."""
