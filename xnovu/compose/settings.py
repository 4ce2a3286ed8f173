"""
Everything that may differ between two installations, read and checked once at start.

TOML first (``XNOVU_CONFIG``, else ``configs/xnovu.toml`` if there is one), then the environment:
``XNOVU_<TABLE>__<KEY>``, and ``XNOVU_LOG_LEVEL`` for the log's level. Secrets are not settings: see
:mod:`xnovu.compose.secrets`.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
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

from xnovu.adapters.nats import NatsOptions
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.postgres.store import PostgresOptions
from xnovu.adapters.supabase.options import Enterprises, SupabaseOptions
from xnovu.adapters.table import TableOptions
from xnovu.compose import secrets
from xnovu.errors import ConfigurationError
from xnovu.payloads import RowOptions
from xnovu.policy import Policy

CONFIG = "XNOVU_CONFIG"
LOG_LEVEL = "XNOVU_LOG_LEVEL"
DEFAULT_PATH = Path("configs/xnovu.toml")

DEFAULTS: dict[str, dict[str, Any]] = {
    "ingest": {"batch": 500, "slots": 1, "pause_max": 1.0},
    "hydrate": {"batch": 500},
    "trigger": {"batch": 300, "slots": 3},
    "status": {"batch": 500},
    "retract": {"attempts": 20, "backoff": 2.0, "backoff_max": 15.0},
}


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


def _default(name: str) -> Policy:
    return TypeAdapter(Policy).validate_python(DEFAULTS[name])


class Stages(BaseModel, extra="forbid", frozen=True):
    """What each stage may do; a key that is not set keeps the stage's own default."""

    ingest: Policy = _default("ingest")
    hydrate: Policy = _default("hydrate")
    trigger: Policy = _default("trigger")
    status: Policy = _default("status")
    retract: Policy = _default("retract")

    @field_validator("*", mode="before")
    @classmethod
    def _filled_up(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, dict):
            return DEFAULTS[info.field_name or ""] | cast("dict[str, Any]", given)
        return given


class Settings(BaseSettings):
    """The whole configuration; an unknown table, key or stage is refused by name."""

    model_config = SettingsConfigDict(
        env_prefix="XNOVU_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: StoreOptions = PostgresOptions()
    transport: NatsOptions = NatsOptions()
    provider: NovuOptions = NovuOptions()
    rows: RowOptions = RowOptions()
    ingest: TableOptions = TableOptions()
    wakeups: WakeUpOptions = WakeUpOptions()
    stages: Stages = Stages()
    consumers: dict[str, Policy] = {}
    health: HealthOptions = HealthOptions()
    log: LogOptions = LogOptions()

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
        toml = TomlConfigSettingsSource(settings_cls, _path())
        level = os.environ.get(LOG_LEVEL)
        short = InitSettingsSource(settings_cls, {"log": {"level": level}} if level else {})
        return init_settings, env_settings, short, toml

    def policy(self, name: str) -> Policy:
        """What the stage of that name may do, or the consumer of one's own."""
        if name in Stages.model_fields:
            policy: Policy = getattr(self.stages, name)
            return policy
        return self.consumers.get(name, Policy())


def load() -> Settings:
    """
    Read the configuration.

    Raises:
        ConfigurationError: with every wrong table, key and value by name.
    """
    _refuse_unknown_variables()
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(_told(error)) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{_path()}: {error}") from None


def _path() -> Path | None:
    named = os.environ.get(CONFIG)
    if named and not Path(named).is_file():
        raise ConfigurationError(f"{CONFIG} names {named}, which is no file")
    return Path(named) if named else (DEFAULT_PATH if DEFAULT_PATH.is_file() else None)


def _told(error: ValidationError) -> str:
    """Which keys are wrong and why, without the values: one may be a secret in the wrong place."""
    faults = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return "the configuration is wrong:\n" + "\n".join(faults)


def _refuse_unknown_variables() -> None:
    tables = {name.upper() for name in Settings.model_fields}
    known = {CONFIG, LOG_LEVEL, *(n for s in SECRETS for n in (s, f"{s}_FILE"))}
    known |= LOCAL | CONFORMANCE
    for name in os.environ:
        if name.startswith("XNOVU_") and name not in known:
            table = name.removeprefix("XNOVU_").split("__")[0]
            if table not in tables or "__" not in name:
                raise ConfigurationError(_unknown(name, known, tables))


def _unknown(name: str, known: set[str], tables: set[str]) -> str:
    tables_told = ", ".join(f"XNOVU_{table}__…" for table in sorted(tables))
    return f"unknown variable {name}; there are {', '.join(sorted(known))}, and {tables_told}"


SECRETS = (
    secrets.DATABASE_URL,
    secrets.NATS_CREDS,
    secrets.NATS_NKEY,
    secrets.NATS_PASSWORD,
    secrets.NATS_URL,
    secrets.NATS_USER,
    secrets.NOVU_KEY,
    secrets.SUPABASE_KEY,
    secrets.SUPABASE_URL,
)

CONFORMANCE = {"XNOVU_SUPABASE_ANON_KEY", "XNOVU_SUPABASE_JWT_SECRET"}
"""Variables of `./run conformance` alone."""

LOCAL = {"XNOVU_PG_BIN", "XNOVU_PG_USER", "XNOVU_NATS_BIN", "XNOVU_POSTGREST_BIN"}
"""Variables of the embedded servers."""
