"""Decoding a batch gives what kafka-python itself gives, and damage never passes as records."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record import MemoryRecords
from kafka.record.default_records import (
    DefaultRecordBatch,
    DefaultRecordBatchBuilder,
)
from kafka.structs import TopicPartition

from consumers.cluster import StreamError
from consumers.unpack import Fetched, Record, install, records_of

TOPIC = TopicPartition("leads", 3)
Raw = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]

data = st.one_of(st.none(), st.binary(max_size=300))
raw_records = st.lists(
    st.tuples(
        st.integers(0, 2**45),
        data,
        data,
        st.lists(st.tuples(st.text(max_size=70), st.binary(max_size=90)), max_size=4),
    ),
    min_size=1,
    max_size=12,
)


def batch_of(raws: list[Raw], *, base: int = 0, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1_000_000,
    )
    for number, (timestamp, key, value, headers) in enumerate(raws):
        assert builder.append(number, timestamp, key, value, headers)
    built = bytearray(builder.build())
    # The builder counts from 0; a broker then writes the place in the log, outside the checksum.
    built[0:8] = base.to_bytes(8)
    return bytes(built)


def fetched(built: bytes, *, at: int = 0, **options: Any) -> Fetched:
    return Fetched(at, TOPIC, MemoryRecords(built), **options)


@given(raw_records, st.integers(0, 2**40), st.sampled_from([0, 1]))
def test_a_batch_decodes_to_what_the_client_itself_decodes(
    raws: list[Raw], base: int, compression: int
) -> None:
    built = batch_of(raws, base=base, compression=compression)
    theirs = [
        Record("leads", 3, r.offset, r.timestamp * 1000, r.key, r.value, tuple(r.headers))
        for r in DefaultRecordBatch(built)
    ]

    assert fetched(built, at=base).take(1_000) == theirs
    assert [r.position for r in theirs] == list(range(base, base + len(raws)))


@given(raw_records, raw_records, st.integers(1, 5), st.integers(0, 20))
def test_any_way_of_taking_gives_the_same_records_from_the_position_asked_for(
    one: list[Raw], two: list[Raw], step: int, start: int
) -> None:
    built = batch_of(one) + batch_of(two, base=len(one))
    part, taken = fetched(built, at=start), list[Record]()
    while part:
        chunk = part.take(step)
        assert len(chunk) <= step
        taken += chunk
        if chunk:
            assert part.next_fetch_offset in (chunk[-1].position + 1, len(one) + len(two))

    assert [r.position for r in taken] == list(range(start, len(one) + len(two)))
    assert part.next_fetch_offset == max(start, len(one) + len(two))


@given(raw_records, st.data())
def test_a_batch_with_a_wrong_byte_fails_its_checksum(raws: list[Raw], draw: st.DataObject) -> None:
    built = bytearray(batch_of(raws))
    place = draw.draw(st.integers(21, len(built) - 1))
    built[place] ^= draw.draw(st.integers(1, 255))

    with pytest.raises(StreamError, match="fails its checksum"):
        fetched(bytes(built)).take(10)


@given(raw_records, st.data())
def test_damage_behind_a_right_checksum_is_an_error_or_a_record_never_a_crash(
    raws: list[Raw], draw: st.DataObject
) -> None:
    built = bytearray(batch_of(raws))
    place = draw.draw(st.integers(61, len(built) - 1))
    built[place] = draw.draw(st.integers(0, 255))
    part = fetched(bytes(built), check_crcs=False)
    try:
        taken = part.take(1_000)
    except StreamError:
        assert not part
    else:
        assert len(taken) <= len(raws)


def test_a_header_name_that_is_no_utf_8_does_not_block_the_partition() -> None:
    built = batch_of([(0, b"k", b"v", [("name", b"x")])]).replace(b"name", b"na\xffe")

    [record] = fetched(built, check_crcs=False).take(5)

    assert record.headers == (("na\ufffde", b"x"),)


def test_records_before_a_damaged_batch_come_first_and_then_its_error() -> None:
    good = batch_of([(0, b"k", b"v", [])])
    bad = bytearray(batch_of([(0, b"k", b"v", [])], base=1))
    bad[-1] ^= 1
    part = fetched(good + bytes(bad))

    assert [r.position for r in part.take(5)] == [0]
    assert part.next_fetch_offset == 1
    with pytest.raises(StreamError, match="the batch at 1 fails its checksum"):
        part.take(5)
    assert not part


def test_the_client_keeps_its_own_way_where_its_insides_are_others() -> None:
    raw = SimpleNamespace(
        topic="leads",
        partition=3,
        offset=7,
        timestamp=5,
        key=b"k",
        value=None,
        headers=[("a", b"b"), ("c", None)],
    )

    assert not install(SimpleNamespace())
    assert records_of([raw]) == [
        Record("leads", 3, 7, 5_000, b"k", None, (("a", b"b"), ("c", b"")))
    ]


def test_a_broker_that_stamps_records_itself_gives_them_its_time() -> None:
    class Stamped(DefaultRecordBatch):  # type: ignore[misc]  # its base is untyped
        timestamp_type = 1

    batches = iter([Stamped(batch_of([(5, b"a", b"", []), (9, b"b", b"", [])])), None])
    part = Fetched(0, TOPIC, SimpleNamespace(next_batch=lambda: next(batches)))

    assert [r.timestamp for r in part.take(5)] == [9_000, 9_000]
