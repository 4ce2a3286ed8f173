"""How every connection to the database is made."""

from collections.abc import Mapping
from typing import Any

# A peer that is gone is noticed within half a minute, even by who only listens.
PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
