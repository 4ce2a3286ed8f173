"""A transport or a provider of one's own: a class that the settings name."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from pydantic import BaseModel, Discriminator

from xnovu.adapters.mailboxes.options import MailboxOptions
from xnovu.adapters.memory.options import MemoryOptions
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.webhook import WebhookOptions
from xnovu.errors import ConfigurationError
from xnovu.options import ProviderOptions, TransportOptions

Built = Callable[[BaseModel], Any]
"""A class that is made of its options alone."""

OWN = "your own"
"""Any kind that is a class of one's own."""


@dataclass(frozen=True, slots=True)
class Socket:
    """What one table may choose: a kind in the box, or a class of one's own with ``methods``."""

    table: str
    options: type[BaseModel]
    kinds: Mapping[str, type[BaseModel]]
    methods: Sequence[str]

    def choice(self) -> Discriminator:
        """Which kind a table is of, for pydantic."""
        known = ", ".join(self.kinds)
        return Discriminator(
            self._kind,
            custom_error_type=f"{self.table}_kind",
            custom_error_message=f"kind is {known}, or your own package.module:Class",
        )

    def read(self, given: Any) -> Any:
        """
        Read the table of a class of one's own.

        Raises:
            ValueError: the class cannot be used; ValidationError: a key.
        """
        if not isinstance(given, dict):
            return given
        table = cast("dict[str, Any]", given)
        return self.options_of(str(table["kind"])).model_validate(table)

    def own(self, kind: str) -> Built:
        """
        The class of one's own that ``kind`` names.

        Raises:
            ValueError: it cannot be loaded, or lacks something.
        """
        found = _loaded(kind)
        missing = [name for name in self.methods if not hasattr(found, name)]
        if missing or not isinstance(found, type):
            lacks = ", ".join(missing) or "being a class"
            raise ValueError(f"{kind} is no {self.table}: it lacks {lacks}")
        return found

    def made(self, options: BaseModel, kind: str) -> Any:
        """
        Make the plug of one's own that ``kind`` names.

        Raises:
            ConfigurationError: it cannot be made of these options.
        """
        try:
            return self.own(kind)(options)
        except Exception as error:
            raise ConfigurationError(f"{self.table}: {kind} is not made: {_told(error)}") from error

    def options_of(self, kind: str) -> type[BaseModel]:
        """
        What a table of this kind may set.

        Raises:
            ValueError: there is no such kind, or its class cannot be used.
        """
        if kind in self.kinds:
            return self.kinds[kind]
        options: Any = getattr(self.own(kind), "Options", self.options)
        if not (isinstance(options, type) and issubclass(options, self.options)):
            raise ValueError(f"{kind}: its Options are no {self.options.__name__}")
        return options

    def _kind(self, given: Any) -> Any:
        if isinstance(given, dict):
            kind = cast("dict[str, Any]", given).get("kind", next(iter(self.kinds)))
        else:
            kind = getattr(given, "kind", None)
        return OWN if ":" in str(kind) else kind


TRANSPORT = Socket(
    "transport",
    TransportOptions,
    {"nats": NatsOptions, "postgres": MailboxOptions, "memory": MemoryOptions},
    (
        *("features", "subscribe", "start", "stop", "ready"),
        *("publish", "backlog", "pause", "resume", "paused"),
    ),
)
PROVIDER = Socket(
    "provider",
    ProviderOptions,
    {"novu": NovuOptions, "webhook": WebhookOptions},
    ("open", "close", "ready", "trigger", "cancel"),
)


def _loaded(kind: str) -> Any:
    module, _, name = kind.partition(":")
    try:
        found: Any = import_module(module)
    except Exception as error:
        raise ValueError(f"{kind}: cannot import {module}: {_told(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{kind}: there is no {part!r} in {module}")
        found = getattr(found, part)
    return found


def _told(error: Exception) -> str:
    """Its type and place, since its text may hold anything; a missing module is named."""
    if isinstance(error, ModuleNotFoundError):
        return f"no module named {error.name!r}: is it installed, or on PYTHONPATH?"
    if isinstance(error, ConfigurationError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {place.filename}:{place.lineno}"
