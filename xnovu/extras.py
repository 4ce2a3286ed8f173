"""What is installed on request: which distribution, or extra, brings a module that is missing."""

BROUGHT_BY = {"xnovu_local": "xnovu-local"}
"""What `pip install` is told, by the package that is missing."""


def way_out(error: ModuleNotFoundError) -> str | None:
    """What to install for what could not be imported; None if that is no part of XNovu."""
    missing = (error.name or "").partition(".")[0]
    wanted = BROUGHT_BY.get(missing)
    return f"{missing} is not installed: pip install '{wanted}'" if wanted else None
