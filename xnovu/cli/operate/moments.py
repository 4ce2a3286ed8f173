"""Points in time as people type them."""

import re
from datetime import UTC, datetime, timedelta

from xnovu.errors import ConfigurationError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str | None, option: str) -> datetime | None:
    """
    ISO 8601 (without a zone: UTC), or how long ago: ``90s``, ``15m``, ``2h``, ``3d``.

    Raises:
        ConfigurationError: it is neither.
    """
    if not text:
        return None
    if found := re.fullmatch(r"(\d{1,6})([smhd])", text.strip()):
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{option} takes a time such as 2026-01-31T12:00:00Z, or how long ago: 90s, 15m, 2h, 3d"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
