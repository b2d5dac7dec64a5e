"""Name a Kafka cluster, and what can go wrong between it and us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


class StreamError(Exception):
    """Kafka failed: an infrastructure error, to be met with patience and never with a skip."""


class BrokerUnavailable(StreamError):
    """No broker answered at the address; the message says why and what to do."""

    def __init__(self, bootstrap_servers: str, reason: object) -> None:
        super().__init__(
            f"no Kafka broker answers at {bootstrap_servers}: {reason}; start one "
            "(`leadflow broker` on a laptop) or set LEADFLOW_KAFKA_BOOTSTRAP_SERVERS"
        )
        self.bootstrap_servers = bootstrap_servers


class DeliveryFailed(StreamError):
    """Records that were sent are not known to be in the log.

    Sending them again may double them, so their reader has to drop doubles.
    """

    def __init__(self, failed: int, first_error: BaseException) -> None:
        super().__init__(f"{failed} records were not acknowledged; the first: {first_error!r}")
        self.failed = failed
        self.first_error = first_error


class TopicMissing(Exception):
    """The topic does not exist, and reading must not be what creates it."""

    def __init__(self, topic: str, bootstrap_servers: str) -> None:
        super().__init__(
            f"the topic {topic} does not exist at {bootstrap_servers}; create it (`leadflow init` "
            "does) or set the name of the one to read"
        )
        self.topic = topic


class LogMismatch(Exception):
    """The broker's log does not hold the position to read from: a person has to decide.

    `start` and `end` are the log's first position and the one after its last; `position` is the
    one to be read next. `None` where the broker did not say.
    """

    def __init__(
        self,
        topic: str,
        partition: int | None,
        position: int | None,
        start: int | None,
        end: int | None,
        why: str,
    ) -> None:
        place = topic if partition is None else f"{topic} partition {partition}"
        held = "" if start is None else f"; the broker's log holds {start} to {end}"
        ours = "" if position is None else f": next to read is {position}{held}"
        super().__init__(f"{place}{ours}: {why}")
        self.topic = topic
        self.partition = partition
        self.position = position
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Where the brokers are and how to prove who we are."""

    bootstrap_servers: str = "localhost:9092"
    """One or more `host:port`, with commas between them."""
    client_id: str = "leadflow"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: str | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True
    connect_timeout_ms: int = 10_000
    """How long the first connection may take before the broker counts as unavailable."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a broker says of itself."""

    cluster_id: str | None
    brokers: int
    topics: Mapping[str, int]
    """Topics and their number of partitions."""
