"""Read records from Kafka and write records to it: the only package that knows kafka-python.

A `Source` reads one topic as a member of a group, from the positions its caller keeps (in SQL, with
the data), never from the broker's own. A `Sink` writes with an idempotent producer and waits for
every replica in sync. No setting that loses or doubles data can be reached from here.
"""

from consumers.cluster import (
    BrokerUnavailable,
    Cluster,
    DeliveryFailed,
    KafkaSettings,
    LogMismatch,
    StreamError,
    TopicMissing,
)
from consumers.stream.sink import Sink
from consumers.stream.source import Source
from consumers.stream.topics import describe, end_positions, ensure_topics
from consumers.unpack import Record

__all__ = [
    "BrokerUnavailable",
    "Cluster",
    "DeliveryFailed",
    "KafkaSettings",
    "LogMismatch",
    "Record",
    "Sink",
    "Source",
    "StreamError",
    "TopicMissing",
    "describe",
    "end_positions",
    "ensure_topics",
]
