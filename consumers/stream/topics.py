"""Ask the brokers what topics there are and how long they are, and create what is missing."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from kafka import (
    KafkaAdminClient,
    KafkaConsumer,
    TopicPartition,
)
from kafka.errors import TopicAlreadyExistsError

from consumers.cluster import Cluster, KafkaSettings
from consumers.stream.client import known_errors, opening, settings_of

_log = structlog.get_logger(__name__)


def ensure_topics(
    settings: KafkaSettings | str, topics: Mapping[str, int], replication: int = 1
) -> dict[str, int]:
    """Create the topics that are missing; return the partitions each of them has in truth.

    A topic that exists is left as it is, whatever its number of partitions.

    Raises:
        BrokerUnavailable: no broker answers.
        StreamError: Kafka refused.
    """
    settings = settings_of(settings)
    with known_errors(settings), _admin(settings) as admin:
        found = _partitions(admin)
        for name in sorted(topics.keys() - found.keys()):
            wanted = {"num_partitions": topics[name], "replication_factor": replication}
            with suppress(TopicAlreadyExistsError):
                admin.create_topics({name: wanted}, wait_for_metadata=True)
                _log.info("topic.created", topic=name, partitions=topics[name])
        found = _partitions(admin)
    return {name: found[name] for name in topics}


def describe(settings: KafkaSettings | str) -> Cluster:
    """Ask the brokers who they are and what topics they hold.

    Raises:
        BrokerUnavailable: no broker answers.
        StreamError: Kafka failed.
    """
    settings = settings_of(settings)
    with known_errors(settings), _admin(settings) as admin:
        told = admin.describe_cluster()
        return Cluster(told.get("cluster_id"), len(told["brokers"]), _partitions(admin))


def end_positions(settings: KafkaSettings | str, topic: str) -> dict[int, int]:
    """Return the position after the last record of each partition of *topic*; {} without it.

    For showing lag; Tansu answers too little.

    Raises:
        BrokerUnavailable: no broker answers.
        StreamError: Kafka failed.
    """
    settings = settings_of(settings)
    with known_errors(settings):
        with opening(settings) as options:
            consumer = KafkaConsumer(**options, enable_auto_commit=False, metrics_enabled=False)
        try:
            parts = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
            ends = consumer.end_offsets(parts, timeout_ms=settings.connect_timeout_ms)
            return {part.partition: end for part, end in ends.items()} if parts else {}
        finally:
            consumer.close(timeout_ms=0)


@contextmanager
def _admin(settings: KafkaSettings) -> Generator[Any]:
    with opening(settings) as options:
        admin = KafkaAdminClient(**options)
    try:
        yield admin
    finally:
        admin.close()


def _partitions(admin: Any) -> dict[str, int]:
    return {told["name"]: len(told["partitions"]) for told in admin.describe_topics()}
