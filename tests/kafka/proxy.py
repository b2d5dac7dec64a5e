"""Stand between a client and a server and break their connection in a chosen way."""

import contextlib
import select
import socket
import struct
import threading
from enum import StrEnum
from types import TracebackType
from typing import Self

_CHUNK = 65_536
_TICK_SECONDS = 0.02


class Mode(StrEnum):
    """What the proxy does to what passes through it."""

    PASS = "pass"
    """Forward both ways."""
    REFUSE = "refuse"
    """Reset every new connection and those that are open."""
    STALL = "stall"
    """Hold what arrives on either side; it goes on when the mode is `PASS` again."""
    DROP_ANSWERS = "drop_answers"
    """Forward what the client says, throw away what the server answers."""


class Proxy:
    """Forward TCP connections from `port` to `target_port`, both on 127.0.0.1.

    The mode applies to open connections too, from their next bytes on. Works in front of Kafka
    (where the broker must advertise the proxy's port) and of PostgreSQL.

    Args:
        target_port: Where the server listens.
        port: Where to listen; 0 takes a free port.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.mode = Mode.PASS
        self.answers_dropped = 0
        """How many bytes of answers were thrown away."""
        self._target = target_port
        self._ended = threading.Event()
        self._open: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._listener.settimeout(_TICK_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="proxy-accept", daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        """Return `host:port` of the proxy."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        with self._lock:
            return len(self._open)

    def reset(self) -> int:
        """Reset every open connection, leave the mode as it is; return how many there were."""
        with self._lock:
            pairs = list(self._open.items())
        for client, server in pairs:
            for side in (client, server):
                _reset_on_close(side)
                # The forwarding thread sees the end and closes both.
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
        return len(pairs)

    def close(self) -> None:
        """Close the listener and every connection, and wait for the threads."""
        self._ended.set()
        self.reset()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.mode is Mode.REFUSE:
                _reset_on_close(client)
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                _reset_on_close(client)
                client.close()
                continue
            for side in (client, server):
                # Forwarding blocks on writes only for a moment; a frozen peer must not hold us.
                side.settimeout(None)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open[client] = server
            thread = threading.Thread(
                target=self._forward, args=(client, server), name="proxy-forward", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while not self._ended.is_set():
                if self.mode is Mode.STALL:
                    self._ended.wait(_TICK_SECONDS)
                    continue
                if self.mode is Mode.REFUSE:
                    break
                ready, _, _ = select.select([client, server], [], [], _TICK_SECONDS)
                if not all(self._move(side, client, server) for side in ready):
                    break
        except OSError:
            # A reset from either side ends the pair, as the end of a stream does.
            _reset_on_close(client)
        finally:
            if self.mode is Mode.REFUSE:
                _reset_on_close(client)
            with self._lock:
                self._open.pop(client, None)
            client.close()
            server.close()

    def _move(self, side: socket.socket, client: socket.socket, server: socket.socket) -> bool:
        data = side.recv(_CHUNK)
        if not data:
            return False
        if side is client:
            self._send(server, data)
        elif self.mode is Mode.DROP_ANSWERS:
            self.answers_dropped += len(data)
        else:
            self._send(client, data)
        return True

    def _send(self, side: socket.socket, data: bytes) -> None:
        view = memoryview(data)
        while view and not self._ended.is_set():
            _, writable, _ = select.select([], [side], [], _TICK_SECONDS)
            if writable:
                view = view[side.send(view, socket.MSG_DONTWAIT) :]


def _reset_on_close(side: socket.socket) -> None:
    """Make the close of a socket send a reset instead of a polite end."""
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
