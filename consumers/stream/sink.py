"""Write records to topics."""

import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

from kafka import KafkaProducer
from kafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
)

from consumers.cluster import DeliveryFailed, KafkaSettings, StreamError
from consumers.stream.client import CLOSE_MS, known_errors, opening, settings_of


class Sink:
    """Write records to topics: idempotent, acknowledged by every replica in sync, in order per key.

    `send` returns at once while there is room in the buffer and else waits; only `flush` knows that
    what was sent is in the log.

    Args:
        settings: Where the brokers are; a plain string is its bootstrap servers.
        linger_ms: How long a record waits for others to share its batch.
        compression: `gzip` needs no further package; JSON shrinks to a tenth.
        max_pending: How many records may wait for their acknowledgement before `send` blocks.
        delivery_timeout_ms: How long a record is retried before it counts as failed; also how long
            `send` waits for a topic it has not met.

    Raises:
        BrokerUnavailable: no broker answers within `settings.connect_timeout_ms`.
    """

    def __init__(
        self,
        settings: KafkaSettings | str,
        *,
        linger_ms: int = 20,
        compression: Literal["gzip", "snappy", "lz4", "zstd"] | None = "gzip",
        max_pending: int = 20_000,
        delivery_timeout_ms: int = 120_000,
    ) -> None:
        self._settings = settings_of(settings)
        self._max_pending = max_pending
        self._wait_seconds = delivery_timeout_ms / 1_000 + CLOSE_MS / 1_000
        self._pending: deque[Any] = deque()
        self._failed = 0
        self._first_error: BaseException | None = None
        self.delivered = 0
        """How many records the brokers have acknowledged, as far as was looked."""
        self._options = {
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": linger_ms,
            "batch_size": 256 * 1024,
            "compression_type": compression,
            "delivery_timeout_ms": delivery_timeout_ms,
            "request_timeout_ms": min(30_000, delivery_timeout_ms // 4),
            "max_block_ms": delivery_timeout_ms,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        self._producer: Any = None
        self._connect()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes]] = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Put a record into the buffer; waits while the buffer is full.

        Records of one key go to one partition, chosen as Kafka's own Java client does.
        `timestamp_ms` is milliseconds since 1970-01-01 UTC, now where it is None. A topic's
        retention counts from it: history sent under its own old times can be gone within minutes.

        Raises:
            ValueError: the record is larger than a broker accepts (1 MiB).
            BrokerUnavailable: the topic was not found before the time was out.
            DeliveryFailed: an earlier record is known to have failed; this one was not taken.
            StreamError: Kafka failed.
        """
        if self._first_error is not None:
            self.flush()
        if self._producer is None:
            self._connect()
        with known_errors(self._settings):
            try:
                sent = self._producer.send(
                    topic, value, key, list(headers), partition, timestamp_ms
                )
            except MessageSizeTooLargeError as error:
                raise ValueError(f"the record is too large for topic {topic}: {error}") from error
        self._pending.append(sent)
        if len(self._pending) >= self._max_pending:
            # Half of it goes at once: waiting for one at a time would starve the batches.
            self._settle(self._max_pending // 2)

    def flush(self) -> None:
        """Wait until every record sent so far is acknowledged.

        Raises:
            DeliveryFailed: at least one was not; the sink can be used on.
        """
        self._settle(0)
        failed, first, self._failed, self._first_error = self._failed, self._first_error, 0, None
        if first is not None:
            self._leave(abandon=True)
            raise DeliveryFailed(failed, first) from first

    def close(self) -> None:
        """Flush and close.

        Raises:
            DeliveryFailed: see `flush`.
        """
        try:
            self.flush()
        finally:
            self._leave(abandon=bool(self._pending))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            # Another error is on its way; one about deliveries must not take its place.
            with suppress(StreamError):
                self.close()

    def _connect(self) -> None:
        with known_errors(self._settings), opening(self._settings) as options:
            self._producer = KafkaProducer(**options, **self._options)

    def _leave(self, *, abandon: bool) -> None:
        """Close the producer; where it is abandoned, whatever it still holds fails.

        The next record gets another producer. After a record expired, kafka-python 3.0.12 never
        finds a new producer id, holds all later records for ever, and waits for them on closing.
        """
        if self._producer is not None:
            if abandon:
                self._producer._sender.force_close()  # noqa: SLF001 -- there is no public way
            self._producer.close(timeout=CLOSE_MS / 1_000)
        self._producer = None
        self._pending.clear()

    def _settle(self, down_to: int) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while len(self._pending) > down_to:
            try:
                self._pending.popleft().get(max(0, deadline - time.monotonic()))
                self.delivered += 1
            except KafkaError as error:
                if self._first_error is None:
                    self._first_error = error
                    # What failed with it is known at once, and what is left now never goes out.
                    deadline = min(deadline, time.monotonic() + 1)
                self._failed += 1
