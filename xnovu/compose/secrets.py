"""Secrets: read from the environment, or from a file that it names, and never kept elsewhere."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xnovu.adapters.nats.options import require_url
from xnovu.adapters.postgres.connection import require_dsn
from xnovu.errors import ConfigurationError

DATABASE_URL = "XNOVU_DATABASE_URL"
NATS_CREDS = "XNOVU_NATS_CREDS"
NATS_NKEY = "XNOVU_NATS_NKEY"
NATS_PASSWORD = "XNOVU_NATS_PASSWORD"  # noqa: S105 - the name of it
NATS_URL = "XNOVU_NATS_URL"
NATS_USER = "XNOVU_NATS_USER"
NOVU_KEY = "XNOVU_NOVU_KEY"
SUPABASE_KEY = "XNOVU_SUPABASE_KEY"
SUPABASE_URL = "XNOVU_SUPABASE_URL"
WEBHOOK_SECRET = "XNOVU_WEBHOOK_SECRET"  # noqa: S105 - its name
NAMES = (
    *(DATABASE_URL, NATS_CREDS, NATS_NKEY, NATS_PASSWORD, NATS_URL, NATS_USER),
    *(NOVU_KEY, SUPABASE_KEY, SUPABASE_URL, WEBHOOK_SECRET),
)


@dataclass(frozen=True, slots=True)
class Secret:
    """
    A value that is asked for whenever it is needed: call it.

    ``NAME_FILE`` names a file and is read anew each time, so that a changed file is a changed
    secret; ``NAME`` holds the value itself. ``check`` raises ConfigurationError
    for what cannot be one.
    """

    name: str
    environment: Mapping[str, str]
    default: str | None = None
    check: Callable[[str], None] | None = None

    def __call__(self) -> str:
        """
        Tell the secret.

        Raises:
            ConfigurationError: it is not set, cannot be read, is empty, or cannot be one.
        """
        value = self._from_file() or self.environment.get(self.name) or self.default
        if not value:
            raise ConfigurationError(f"{self.name} is not set; set it, or {self.name}_FILE")
        if self.check:
            self._checked(self.check, value)
        return value

    @property
    def is_set(self) -> bool:
        """Whether it, or its file, is named at all."""
        names = (self.name, f"{self.name}_FILE")
        return any(self.environment.get(name) for name in names)

    @property
    def origin(self) -> str:
        """Where it comes from: a variable's name, or its file's; never the value."""
        if path := self.environment.get(f"{self.name}_FILE"):
            return f"{self.name}_FILE ({path})"
        return self.name

    def _checked(self, check: Callable[[str], None], value: str) -> None:
        try:
            check(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.origin}: {error}") from None

    def _from_file(self) -> str | None:
        path = self.environment.get(f"{self.name}_FILE")
        if not path:
            return None
        try:
            value = Path(path).read_text().strip()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(f"{self.name}_FILE: cannot read {path}: {reason}") from error
        if not value:
            raise ConfigurationError(f"{self.name}_FILE: {path} is empty")
        return value


CHECKS: Mapping[str, Callable[[str], None]] = {
    DATABASE_URL: require_dsn,
    NATS_URL: require_url,
}
"""What says of a secret, without its value, that it can be none."""


def secret(name: str, default: str | None = None) -> Secret:
    """The secret of that name in this process's environment."""
    return Secret(name, os.environ, default, CHECKS.get(name))
