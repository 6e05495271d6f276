"""Throw-away PostgreSQL and Redis on free ports of 127.0.0.1, in a folder of their own, gone afterwards."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.installation import WAIT, NotMeasured, end

HOST = "127.0.0.1"
USER = "imdsdash"
QUIET: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True, slots=True)
class Service:
    """Where a server is, and which process it is."""

    url: str
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise NotMeasured(f"Nothing came up on port {port}.")


def wait_for_answer(port: int) -> None:
    """PostgreSQL listens before it is ready, and turns away who comes too early."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgres://{USER}@{HOST}:{port}/postgres").close()
            return
        time.sleep(0.05)
    raise NotMeasured(f"PostgreSQL did not get ready on port {port}.")


@contextmanager
def redis(folder: Path) -> Iterator[Service]:
    """An empty Redis that keeps nothing. Raises NotMeasured where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        raise NotMeasured("redis-server is not on this machine: apt-get install redis-server.")
    port = free_port()
    words = [program, "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with running(words) as process:
        wait_for_port(port)
        yield Service(f"redis://{HOST}:{port}/", process.pid)


@contextmanager
def postgres(folder: Path) -> Iterator[Service]:
    """A PostgreSQL by its address without a database's name; its user may create some.

    It writes as a real one does (fsync on). PostgreSQL refuses to run as root; then it runs as `postgres`.
    Raises NotMeasured where there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise NotMeasured("PostgreSQL is not on this machine: apt-get install postgresql.")
    place = folder / "postgresql"
    place.mkdir()
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_user = {"user": "postgres"}
        shutil.chown(place, "postgres")
        folder.chmod(0o755)  # so that `postgres` reaches its own folder in it
    made = [str(found[-1]), "-D", str(place / "data"), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, cwd="/", **QUIET, **as_user)  # noqa: S603 -- Debian's own
    port = free_port()
    words = [
        str(found[-1].parent / "postgres"), "-D", str(place / "data"), "-p", str(port),
        "-c", f"listen_addresses={HOST}", "-c", f"unix_socket_directories={place}",
    ]  # fmt: skip
    with running(words, **as_user) as process:
        wait_for_answer(port)
        yield Service(f"postgres://{USER}@{HOST}:{port}/", process.pid)


@contextmanager
def running(words: list[str], **as_user: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, cwd="/", start_new_session=True, **QUIET, **as_user)  # noqa: S603
    try:
        yield process
    finally:
        # SIGINT: PostgreSQL ends at once and in order; SIGTERM would wait for its clients.
        end(process, first=signal.SIGINT)


def create_database(server: Service, name: str, *, like: str = "template1") -> str:
    """The address of a new database, a copy of another one that nobody is connected to."""
    with psycopg.connect(f"{server.url}postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"'.encode())
    return f"{server.url}{name}"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all beneath it, those that ended and were waited for included."""
    own = 0.0
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            own += cpu_seconds(int(child))
    return own


def machine_busy() -> tuple[float, float]:
    """Busy and all CPU seconds of the machine since it started, over all its cores."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    ticks = [int(word) for word in words]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")
