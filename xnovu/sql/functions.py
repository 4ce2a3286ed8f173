"""What leads to the database's functions: a direct connection, or PostgREST."""

from collections.abc import Sequence
from typing import Any, Protocol


class Functions(Protocol):
    """A way to the functions of schema ``notify``."""

    async def open(self) -> None:
        """Begin to connect; does not wait for it."""
        ...

    async def close(self) -> None: ...

    async def renew(self) -> None:
        """Use every connection once more at the most, then make it anew: a secret has changed."""
        ...

    @property
    def most(self) -> int | None:
        """Rows at the most in one call; None: as many as one likes."""
        ...

    async def call(self, function: str, **arguments: Any) -> Sequence[Any]:
        """
        What a function returns: records by column, or the values of one that returns no columns.

        Arguments that are lists or dicts are JSON. Raises one of xnovu.errors.
        """
        ...
