"""
Everything that may differ between two installations, read and checked once at start.

TOML first (``XNOVU_CONFIG``, else ``configs/xnovu.toml`` if there is one), then the environment:
``XNOVU_<TABLE>__<KEY>``, and ``XNOVU_LOG_LEVEL`` for the log's level. Secrets are not settings: see
:mod:`xnovu.compose.secrets`.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from xnovu.adapters.mailboxes.options import MailboxOptions
from xnovu.adapters.memory.options import MemoryOptions
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.postgres.store import PostgresOptions
from xnovu.adapters.supabase.options import Enterprises, SupabaseOptions
from xnovu.adapters.table import TableOptions
from xnovu.adapters.webhook import WebhookOptions
from xnovu.compose.faults import every_setting, told
from xnovu.compose.pipeline import Pipeline, Stages, only_of
from xnovu.compose.plugs import OWN, PROVIDER, TRANSPORT
from xnovu.compose.promises import broken
from xnovu.compose.variables import CONFIG, LOG_LEVEL, refuse_unknown, variable
from xnovu.errors import ConfigurationError
from xnovu.options import ProviderOptions, TransportOptions
from xnovu.payloads import RowOptions
from xnovu.policy import Policy

DEFAULT_PATH = Path("configs/xnovu.toml")


class HealthOptions(BaseModel, extra="forbid", frozen=True):
    """Where a stage answers ``/healthz``, ``/readyz`` and ``/metrics``."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


class LogOptions(BaseModel, extra="forbid", frozen=True):
    """How a stage logs, to standard error. ``auto`` is JSON unless a person is watching."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"

    @field_validator("level", mode="before")
    @classmethod
    def _lower(cls, given: Any) -> Any:
        return given.lower() if isinstance(given, str) else given


STORES: Mapping[str, type[BaseModel]] = {
    "postgres": PostgresOptions,
    "supabase": SupabaseOptions,
}


def _kind(given: Any) -> Any:
    """Which store a table is about, also one without a kind."""
    if isinstance(given, dict):
        return cast("dict[str, Any]", given).get("kind", "postgres")
    return getattr(given, "kind", None)


StoreOptions = Annotated[
    Annotated[PostgresOptions, Tag("postgres")] | Annotated[SupabaseOptions, Tag("supabase")],
    Discriminator(
        _kind,
        custom_error_type="store_kind",
        custom_error_message="kind is postgres or supabase",
    ),
]
"""Which way to the database: direct, or over Supabase's REST API."""

Transport = Annotated[
    Annotated[NatsOptions, Tag("nats")]
    | Annotated[MailboxOptions, Tag("postgres")]
    | Annotated[MemoryOptions, Tag("memory")]
    | Annotated[SerializeAsAny[TransportOptions], BeforeValidator(TRANSPORT.read), Tag(OWN)],
    TRANSPORT.choice(),
]
Provider = Annotated[
    Annotated[NovuOptions, Tag("novu")]
    | Annotated[WebhookOptions, Tag("webhook")]
    | Annotated[SerializeAsAny[ProviderOptions], BeforeValidator(PROVIDER.read), Tag(OWN)],
    PROVIDER.choice(),
]
"""Options of one of the kinds in the box, or of a class of one's own."""


class WakeUpOptions(BaseModel, extra="forbid", frozen=True):
    """
    Who says that rows may be due.

    Postgres (``notify``), Supabase (``realtime``), or nobody, and the ``sweep`` looks
    alone. ``auto`` is what the store's own connection can do.
    ``enterprises`` gives each of these a Realtime channel; none: one channel for all.
    """

    kind: Literal["auto", "notify", "realtime", "sweep"] = "auto"
    enterprises: Enterprises = frozenset()

    @field_validator("kind", mode="before")
    @classmethod
    def _not_the_log(cls, given: Any) -> Any:
        if given == "wal":
            raise ValueError("there are no wake-ups by the log any more: use notify, or auto")
        return given


class Settings(BaseSettings):
    """The whole configuration; an unknown table, key or stage is refused by name."""

    model_config = SettingsConfigDict(
        env_prefix="XNOVU_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: StoreOptions = PostgresOptions()
    transport: Transport = NatsOptions()
    provider: Provider = NovuOptions()
    rows: RowOptions = RowOptions()
    ingest: TableOptions = TableOptions()
    wakeups: WakeUpOptions = WakeUpOptions()
    pipeline: Pipeline = Pipeline()
    stages: Stages = Stages()
    consumers: dict[str, Policy] = {}
    health: HealthOptions = HealthOptions()
    log: LogOptions = LogOptions()

    @field_validator("stages", mode="before")
    @classmethod
    def _of_the_pipeline(cls, given: Any, info: ValidationInfo) -> Any:
        return only_of(info.data.get("pipeline") or Pipeline(), given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        toml = _File(settings_cls, config_file())
        level = os.environ.get(LOG_LEVEL)
        short = InitSettingsSource(settings_cls, {"log": {"level": level}} if level else {})
        return init_settings, env_settings, short, toml

    def policy(self, name: str) -> Policy:
        """What the stage of that name may do, or the consumer of one's own."""
        if name in self.pipeline.stages:
            policy: Policy = getattr(self.stages, name, Policy())
            return policy
        return self.consumers.get(name, Policy())

    def policies(self) -> Iterator[tuple[str, Policy]]:
        """Every policy, and the table that it stands in."""
        yield from ((f"stages.{name}", self.policy(name)) for name in self.pipeline.stages)
        yield from ((f"consumers.{name}", policy) for name, policy in self.consumers.items())


def load() -> Settings:
    """
    Read the configuration.

    Raises:
        ConfigurationError: with every wrong table, key and value by name, and where it stands; or
            with what breaks what docs/reliability.md promises.
    """
    refuse_unknown(Settings.model_fields, (variable(*path) for path in every_setting(Settings)))
    try:
        settings = Settings()
    except ValidationError as error:
        raise ConfigurationError(told(error, Settings, config_file())) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{config_file()} is no TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{config_file()} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a table that should be JSON
        raise ConfigurationError(f"the environment: {error}") from None
    if faults := list(broken(settings)):
        raise ConfigurationError("\n  ".join(("these settings cannot work together:", *faults)))
    return settings


def config_file() -> Path | None:
    """
    The file that is read, if there is one.

    Raises:
        ConfigurationError: one is named that is not there.
    """
    named = os.environ.get(CONFIG)
    if named and not Path(named).is_file():
        raise ConfigurationError(f"{CONFIG} names {named}, which is no file")
    return Path(named) if named else (DEFAULT_PATH if DEFAULT_PATH.is_file() else None)


class _File(TomlConfigSettingsSource):
    """
    The file; of a table only what the environment's kind has, where that is another than its own.

    So XNOVU_STORE__KIND is enough to change it, whatever a file says of the other one.
    """

    def __call__(self) -> dict[str, Any]:
        return {name: _fit(name, table) for name, table in super().__call__().items()}


def _fit(name: str, given: Any) -> Any:
    """A table of the file, fit for the kind that the environment chooses."""
    kind = os.environ.get(variable(name, "kind"))
    if not kind or name not in PLUGS or not isinstance(given, dict):
        return given
    table = cast("dict[str, Any]", given)
    try:
        own = PLUGS[name](kind).model_fields
        other = PLUGS[name](table.get("kind", _default_kind(name))).model_fields
    except (KeyError, ValueError):  # there is no such kind: told when the whole is looked at
        return table
    shared = BASES[name].model_fields if name in BASES else own
    kept = {key: value for key, value in table.items() if key in shared or key not in other}
    return {**kept, "kind": kind}


def _default_kind(name: str) -> str:
    return str(Settings.model_fields[name].default.kind)


PLUGS: Mapping[str, Callable[[str], type[BaseModel]]] = {
    "store": STORES.__getitem__,
    "transport": TRANSPORT.options_of,
    "provider": PROVIDER.options_of,
}
"""The tables that may be of several kinds, and what each kind may set."""
BASES: Mapping[str, type[BaseModel]] = {
    "transport": TransportOptions,
    "provider": ProviderOptions,
}
"""What every kind may set, and means the same by; one's URL is not another's."""
