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
from collections.abc import Iterator
from contextlib import contextmanager
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


class RedisServer:
    """An empty Redis of our own, which a test may stop and start again; what it held is lost with it."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            absent("redis-server", "apt-get install redis-server, or set IMDSDASH_TEST_REDIS_URL.")
        self.port = free_port()
        self.address = f"redis://{HOST}:{self.port}/0"
        self.start()

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no"]
        self.child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        self.child.terminate()
        self.child.wait(10)


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
    server = RedisServer()
    try:
        yield server.address
    finally:
        server.stop()


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


class PostgresServer:
    """A PostgreSQL of our own, which a test may stop and start again. It refuses to run as root."""

    def __init__(self) -> None:
        binaries = postgres_binaries()
        if binaries is None:
            absent("PostgreSQL", "apt-get install postgresql, or set IMDSDASH_TEST_DATABASE_URL.")
            raise LookupError
        self.binaries, self.port = binaries, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="imdsdash-pg-"))
        self.how: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        if getpass.getuser() == "root" or os.geteuid() == 0:
            self.how["user"] = "postgres"
            shutil.chown(self.folder, "postgres")
        words = ["-D", str(self.folder / "data"), "-U", "imdsdash", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([str(binaries / "initdb"), *words], check=True, **self.how)
        self.address = f"postgres://imdsdash@{HOST}:{self.port}/postgres"
        self.start()

    def start(self) -> None:
        self.child = subprocess.Popen(
            [
                self.binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port),
                "-c", f"listen_addresses={HOST}", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off",
            ],
            **self.how,
        )  # fmt: skip
        wait_for_port(self.port)
        wait_for_answer(self.address)

    def stop(self) -> None:
        """At once, as when its host is switched off: whoever is in a transaction loses it (SIGQUIT)."""
        self.child.send_signal(signal.SIGQUIT)
        self.child.wait(15)

    def remove(self) -> None:
        self.child.terminate()
        self.child.wait(15)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a database whose user may create others."""
    named = os.environ.get("IMDSDASH_TEST_DATABASE_URL")
    if named:
        yield named
        return
    server = PostgresServer()
    try:
        yield server.address
    finally:
        server.remove()
