"""Real PostgreSQL and Redis for tests: those named in the environment, or throw-away ones from Debian's packages.

What is absent skips its tests with a sentence; with CI=true it fails them instead.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

HOST = "127.0.0.1"


def absent(what: str, how: str) -> None:
    """Skip loudly, or fail where nothing may be skipped."""
    sentence = f"{what} is not on this machine, so this was NOT tested. {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


@dataclass
class Server:
    """A server of ours, which a test may take away for a while."""

    address: str
    words: list[str | Path]
    how: dict[str, Any]
    ready: Callable[[], None]
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.child = subprocess.Popen(self.words, **self.how)
        self.ready()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """At once, with whatever was in memory alone."""
        assert self.child is not None
        self.child.send_signal(how)
        self.child.wait(15)

    def end(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            self.child.wait(15)


@contextmanager
def redis() -> Iterator[str]:
    """The address of an empty Redis."""
    named = os.environ.get("IMDSDASH_TEST_REDIS_URL")
    if named:
        # One test at a time uses it (they are in one file, and a file runs in one worker); each begins with none.
        with Redis.from_url(named) as client:
            client.flushdb()
        yield named
        return
    with own_redis() as server:
        yield server.address


@contextmanager
def own_redis() -> Iterator[Server]:
    """An empty Redis that keeps nothing on disk, and that a test may stop: one named in the environment is others'."""
    if shutil.which("redis-server") is None:
        absent("redis-server", "apt-get install redis-server, or set IMDSDASH_TEST_REDIS_URL.")
    port = free_port()
    words: list[str | Path] = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    how: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": tempfile.gettempdir()}
    server = Server(f"redis://{HOST}:{port}/0", words, how, lambda: wait_for_port(port))
    try:
        server.start()
        yield server
    finally:
        server.end()


def wait_for_answer(address: str, seconds: float = 30) -> None:
    """PostgreSQL listens some time before it lets anybody in: "the database system is starting up"."""
    until = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def postgres_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a database whose user may create others."""
    named = os.environ.get("IMDSDASH_TEST_DATABASE_URL")
    if named:
        yield named
        return
    with own_postgres() as server:
        yield server.address


@contextmanager
def own_postgres() -> Iterator[Server]:
    """As `postgres`, and a test may stop it. PostgreSQL refuses to run as root; then it runs as `postgres`."""
    binaries = postgres_binaries()
    if binaries is None:
        absent("PostgreSQL", "apt-get install postgresql, or set IMDSDASH_TEST_DATABASE_URL.")
        return
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="imdsdash-pg-"))
    as_user: dict[str, Any] = {}
    if getpass.getuser() == "root" or os.geteuid() == 0:
        as_user = {"user": "postgres"}
        shutil.chown(folder, "postgres")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", "imdsdash", "--auth=trust", "-E", "UTF8", "--no-sync"],
        check=True,
        **quiet,
        **as_user,
    )
    words: list[str | Path] = [
        binaries / "postgres", "-D", folder / "data", "-p", str(port), "-c", f"listen_addresses={HOST}",
        "-c", f"unix_socket_directories={folder}", "-c", "fsync=off",
    ]  # fmt: skip
    address = f"postgres://imdsdash@{HOST}:{port}/postgres"

    def ready() -> None:
        wait_for_port(port)
        wait_for_answer(address)

    server = Server(address, words, quiet | as_user, ready)
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
