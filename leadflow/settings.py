"""The settings of one installation: the only place that reads the environment.

Strongest first: options of the command line, variables ``LEADFLOW_*``, ``leadflow.toml`` in the
working directory, defaults.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from consumers.cluster import KafkaSettings

PREFIX: Final = "LEADFLOW_"
FILE: Final = "leadflow.toml"
POLICY_FILE: Final = "policy.toml"
TARGETS_FILE: Final = "targets.toml"

_TOPIC = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class SettingsInvalid(Exception):
    """A setting cannot be used: one line for each, with its name, its value and the mend."""


class Settings(BaseSettings):
    """Everything that may differ between two installations."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", toml_file=FILE, env_ignore_empty=True
    )

    database_url: str = Field(
        "sqlite:///leadflow.db",
        description="Where facts, decisions and read models lie: sqlite:///FILE or"
        " postgresql://USER:PASSWORD@HOST/DATABASE",
    )
    kafka_bootstrap_servers: str = Field(
        "localhost:9092",
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$|^\[[0-9a-fA-F:]+\]:\d+$",
        description="Kafka brokers: host:port, with commas between several",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How to log in to Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_sasl_username: str | None = Field(None, description="User name at Kafka")
    kafka_sasl_password: SecretStr | None = Field(None, description="Password at Kafka")
    kafka_ssl_cafile: str | None = Field(None, description="File of the authority to trust, PEM")
    kafka_ssl_certfile: str | None = Field(None, description="File of our certificate, PEM")
    kafka_ssl_keyfile: str | None = Field(None, description="File of our private key, PEM")
    kafka_ssl_password: SecretStr | None = Field(None, description="Password of the private key")
    kafka_ssl_check_hostname: bool = Field(
        True, description="Whether the broker's certificate must name its host"
    )
    kafka_connect_timeout_ms: int = Field(
        10_000, ge=100, le=600_000, description="Milliseconds until a broker counts as unavailable"
    )
    kafka_session_timeout_ms: int = Field(
        45_000,
        ge=1_000,
        le=1_800_000,
        description="Milliseconds until a silent worker's partitions go to others",
    )
    kafka_group: str = Field("leadflow", min_length=1, description="Consumer group of the workers")
    topic_interactions: _TOPIC = Field(
        "leadflow.interactions", description="Topic that producers write to"
    )
    topic_lifecycle: _TOPIC = Field("leadflow.lifecycle", description="Topic of our decisions")
    topic_dead_letters: _TOPIC = Field(
        "leadflow.dead-letters", description="Topic of what was refused"
    )
    topic_partitions: int = Field(
        4, ge=1, le=1_000, description="Partitions of a topic that leadflow creates"
    )
    policy: Path | None = Field(
        None,
        description="Policy document; policy.toml in the working directory where there is one, else"
        " the default policy",
    )
    targets: Path | None = Field(
        None,
        description="Goals of key figures; targets.toml in the working directory where there is one,"
        " else none",
    )
    batch_size: int = Field(
        5_000, ge=1, le=100_000, description="Records that intake stores in one transaction at most"
    )
    projection_batch_size: int = Field(
        25_000, ge=1, le=1_000_000, description="Events that are projected in one transaction"
    )
    log_level: Literal["auto", "debug", "info", "warning", "error"] = Field(
        "auto",
        description="The least that is logged: debug, info, warning or error; auto is info for"
        " what runs on, warning elsewhere",
    )
    log_format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="auto is pretty on a terminal and JSON elsewhere"
    )

    SECRET: ClassVar[frozenset[str]] = frozenset(
        {"kafka_sasl_password", "kafka_ssl_password", "database_url"}
    )
    """Fields whose value no message shows as it is."""

    @field_validator("database_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError:
            raise ValueError("is no database URL") from None
        if backend not in ("sqlite", "postgresql"):
            raise ValueError("names a database that leadflow does not know")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - given by the library, unused
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def policy_path(self) -> Path | None:
        """Return the policy document to use; None for the default policy."""
        if self.policy is not None:
            return self.policy
        beside = Path(POLICY_FILE)
        return beside if beside.is_file() else None

    @property
    def targets_path(self) -> Path | None:
        """Return the file of targets to use; None where there are no targets."""
        if self.targets is not None:
            return self.targets
        beside = Path(TARGETS_FILE)
        return beside if beside.is_file() else None

    @property
    def kafka(self) -> KafkaSettings:
        """Return where the brokers are and how to log in."""
        return KafkaSettings(
            bootstrap_servers=self.kafka_bootstrap_servers,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=_revealed(self.kafka_sasl_password),
            ssl_cafile=self.kafka_ssl_cafile,
            ssl_certfile=self.kafka_ssl_certfile,
            ssl_keyfile=self.kafka_ssl_keyfile,
            ssl_password=_revealed(self.kafka_ssl_password),
            ssl_check_hostname=self.kafka_ssl_check_hostname,
            connect_timeout_ms=self.kafka_connect_timeout_ms,
        )

    @property
    def shown_database(self) -> str:
        """Return the database URL without its password."""
        return make_url(self.database_url).render_as_string(hide_password=True)


def load_settings(options: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings; *options* are those of the command line, by field.

    Raises SettingsInvalid, which names every setting that cannot be used.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = [_said(problem, given) for problem in error.errors()]
        raise SettingsInvalid("\n".join(lines)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{FILE}: {error}; correct the TOML") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{FILE}: cannot be read: {error}; mend or remove it") from None


def origins(options: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return where each setting came from, by field: an option, a variable, the file, default."""
    given = {name for name, value in (options or {}).items() if value is not None}
    try:
        written = tomllib.loads(Path(FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        written = {}
    return {name: _origin(name, given, written) for name in Settings.model_fields}


def unknown_variables() -> list[str]:
    """Return the variables ``LEADFLOW_*`` of the environment that are no setting."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )


def reference() -> Iterator[tuple[str, str, str]]:
    """Yield variable, default and meaning of each setting."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        yield PREFIX + name.upper(), default, field.description or ""


def _origin(name: str, given: set[str], written: Mapping[str, Any]) -> str:
    if name in given:
        return "command line"
    if os.environ.get(PREFIX + name.upper()):
        return PREFIX + name.upper()
    return FILE if name in written else "default"


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _said(problem: ErrorDetails, given: Mapping[str, Any]) -> str:
    """Return one line: the setting as the user wrote it, its value, the problem, the mend."""
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{FILE}: {name}: is no setting; `leadflow doctor` lists them all"
    if name in given:
        where = _OPTION.get(name, name)
    elif os.environ.get(PREFIX + name.upper()):
        where = PREFIX + name.upper()
    else:
        where = f"{FILE}: {name}"
    value = "(hidden)" if name in Settings.SECRET else repr(problem["input"])[:80]
    message = problem["msg"].removeprefix("Value error, ")
    message = _PLAINER.get(problem["type"], f"{message[:1].lower()}{message[1:]}")
    return f"{where}: {value}: {message}; it says: {field.description}"


_PLAINER: Final = {
    "string_pattern_mismatch": "is not written as it should be",
    "int_parsing": "is no whole number",
}

_OPTION: Final = {
    "database_url": "--database",
    "kafka_bootstrap_servers": "--kafka",
    "policy": "--policy",
}
