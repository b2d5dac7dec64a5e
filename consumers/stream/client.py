"""Open a client of Kafka, and give its errors the names that leadflow uses."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
)
from kafka.net.compat import KafkaNetClient

from consumers.cluster import BrokerUnavailable, KafkaSettings, StreamError

CLOSE_MS: Final = 5_000
"""How long closing a client may wait for the broker."""

UNREACHED: Final = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError)
"""What says that no broker was reached, which time may mend."""


def settings_of(settings: KafkaSettings | str) -> KafkaSettings:
    """Return the settings; a plain string is the bootstrap servers."""
    if isinstance(settings, str):
        return KafkaSettings(bootstrap_servers=settings)
    return settings


class _Client:
    """Make the network client of a Kafka client and remember it."""

    def __init__(self) -> None:
        self.made: Any = None

    def __call__(self, **config: Any) -> Any:
        self.made = KafkaNetClient(**config)
        return self.made


@contextmanager
def opening(settings: KafkaSettings) -> Generator[dict[str, Any]]:
    """Give the options that say where the brokers are; close what was opened if that fails.

    kafka-python leaves its thread and sockets behind when it cannot connect, and an intake that
    waits for a broker tries again and again.
    """
    client = _Client()
    options = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "bootstrap_timeout_ms": settings.connect_timeout_ms,
        "client_id": settings.client_id,
        # A broker that restarts is met again within a second, not within the default half minute.
        "reconnect_backoff_max_ms": 1_000,
        "security_protocol": settings.security_protocol,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password,
        "ssl_cafile": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_password": settings.ssl_password,
        "ssl_check_hostname": settings.ssl_check_hostname,
        "kafka_client": client,
    }
    try:
        yield options
    except BaseException:
        if client.made is not None:
            client.made.close()
        raise


@contextmanager
def known_errors(settings: KafkaSettings) -> Generator[None]:
    """Raise what kafka-python raises inside as BrokerUnavailable or StreamError."""
    try:
        yield
    except UNREACHED as error:
        raise BrokerUnavailable(settings.bootstrap_servers, error) from error
    except KafkaError as error:
        raise StreamError(f"Kafka at {settings.bootstrap_servers} failed: {error!r}") from error
