"""Real PostgreSQL and Redis for tests: those named in the environment, or throw-away ones from Debian's packages.

What is absent skips its tests with a sentence; with CI=true it fails them instead.
"""

import getpass
import os
import shutil
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
    if shutil.which("redis-server") is None:
        absent("redis-server", "apt-get install redis-server, or set IMDSDASH_TEST_REDIS_URL.")
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield f"redis://{HOST}:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


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
    """The address of a database whose user may create others. PostgreSQL refuses to run as root."""
    named = os.environ.get("IMDSDASH_TEST_DATABASE_URL")
    if named:
        yield named
        return
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
    server = subprocess.Popen(
        [
            binaries / "postgres", "-D", folder / "data", "-p", str(port), "-c", f"listen_addresses={HOST}",
            "-c", f"unix_socket_directories={folder}", "-c", "fsync=off",
        ],
        **quiet,
        **as_user,
    )  # fmt: skip
    address = f"postgres://imdsdash@{HOST}:{port}/postgres"
    try:
        wait_for_port(port)
        wait_for_answer(address)
        yield address
    finally:
        server.terminate()
        server.wait(15)
        shutil.rmtree(folder, ignore_errors=True)
