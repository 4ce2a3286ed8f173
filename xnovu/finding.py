"""What a check has found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: fine, with a ``note``, or the ``fault`` and the way out."""

    name: str
    fault: str | None = None
    note: str = ""
