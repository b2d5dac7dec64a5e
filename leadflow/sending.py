"""Events to the topic: checked as a whole first, so that a file goes out whole or not at all."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from consumers.contract import Malformed, parse, record_key
from consumers.stream import Sink, ensure_topics
from leadflow.files import FileStream, now
from leadflow.settings import Settings

MAX_PROBLEMS: Final = 1_000
"""Wrong lines that are kept in words."""

_EVERY: Final = 1_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def check(stream: FileStream) -> tuple[int, list[tuple[int, str]]]:
    """Return the number of events of *stream*, and line and words for each that is wrong."""
    read = 0
    problems: list[tuple[int, str]] = []
    moment = now()
    for line in stream.read(0):
        if line.value is None:
            continue
        read += 1
        try:
            parse(line.value, (), moment)
        except Malformed as error:
            if len(problems) < MAX_PROBLEMS:
                problems.append((line.number, f"{error.reason}: {error}"))
    return read, problems


def send_lines(
    stream: FileStream, settings: Settings, on_progress: Callable[[int], object] = lambda _: None
) -> int:
    """Send every event of *stream* under its own key; return how many are in the topic.

    The topic is created where it is missing. Raises BrokerUnavailable, DeliveryFailed and
    StreamError.
    """
    topic = settings.topic_interactions
    ensure_topics(settings.kafka, {topic: settings.topic_partitions})
    sent = 0
    with Sink(settings.kafka) as sink:
        for line in stream.read(0):
            if line.value is None:
                continue
            key = record_key(_decode(line.value)).encode()
            sink.send(topic, key or None, line.value)
            sent += 1
            if sent % _EVERY == 0:
                on_progress(sent)
        sink.flush()
    on_progress(sent)
    return sent
