"""Give tests a broker: Apache Kafka, or Tansu where Java or Maven Central is missing."""

import gc
import os
import sys
import uuid
import warnings
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.kafka.fetch import KafkaMissingError
from tests.kafka.proxy import Proxy
from tests.kafka.server import KafkaServer, Server, TansuServer

PARTITIONS = 4
"""How many partitions the topics of tests have."""

_SAID = pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Bear with kafka-python: it lets go of sockets that met a closed port without closing them.

    The collector frees them at some later time, in the midst of any other test.
    """
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


def pytest_sessionfinish() -> None:
    """Free the last of those sockets before pytest counts what was left open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def new_server(config: pytest.Config) -> Server:
    """Return a server that is not started yet: Apache Kafka, or Tansu with a loud line.

    With `CI=true` a missing Apache Kafka fails the test.
    """
    try:
        return KafkaServer()
    except KafkaMissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"Apache Kafka is missing, and CI=true needs it: {error}")
        _say_once(config, f"*** APACHE KAFKA IS MISSING ({error}): its tests run on Tansu ***")
        return TansuServer()


def _say_once(config: pytest.Config, line: str) -> None:
    if line in config.stash.setdefault(_SAID, set()):
        return
    config.stash[_SAID].add(line)
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        print(f"\n{line}", file=sys.stderr, flush=True)


def create_topic(bootstrap_servers: str, partitions: int = PARTITIONS) -> str:
    """Create a topic with a name of its own and return the name."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
    finally:
        admin.close()
    return name


@dataclass(frozen=True, slots=True)
class ProxiedBroker:
    """A broker that clients reach only through a proxy."""

    proxy: Proxy
    is_apache: bool

    @property
    def bootstrap_servers(self) -> str:
        """Return the proxy's address."""
        return self.proxy.address


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Generator[Server]:
    """Give the broker of this test process; tests share it and keep to topics of their own."""
    with new_server(pytestconfig) as server:
        yield server


@pytest.fixture
def broker(kafka: Server) -> str:
    """Give the bootstrap servers of the shared broker."""
    return kafka.bootstrap_servers


@pytest.fixture
def topic(broker: str) -> str:
    """Give a new topic of four partitions on the shared broker."""
    return create_topic(broker)


@pytest.fixture(scope="session")
def _spare_kafka(pytestconfig: pytest.Config) -> Generator[Server]:
    """Give the broker that tests may break; one for all of them, since a start takes seconds."""
    server = new_server(pytestconfig)
    yield server
    server.close()


@pytest.fixture
def own_kafka(_spare_kafka: Server) -> Server:
    """Give a running broker that this test alone may stop, kill and freeze."""
    if _spare_kafka.is_running:
        _spare_kafka.thaw()
    else:
        _spare_kafka.start()
    return _spare_kafka


@pytest.fixture
def proxied_kafka(kafka: Server) -> Generator[ProxiedBroker]:
    """Give the broker through a proxy that can break the connection."""
    if kafka.is_apache:
        with Proxy(kafka.behind, kafka.front) as proxy:
            yield ProxiedBroker(proxy, is_apache=True)
        return
    # Tansu has one listener, so one that is met through a proxy is another process.
    server = TansuServer(proxied=True)
    with Proxy(server.port, server.front) as proxy, server:
        yield ProxiedBroker(proxy, is_apache=False)


@pytest.fixture(scope="session")
def tansu() -> Generator[Server]:
    """Give the laptop broker, for tests of what holds on it too."""
    with TansuServer() as server:
        yield server
