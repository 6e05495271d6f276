"""The product as real processes: a pretend AWS over HTTP, web, worker and beat, each of which a test may kill."""

import atexit
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from tests.services import HOST, free_port, wait_for_port

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
DATABASE = "imdsdash.sqlite3"


@dataclass
class Process:
    """A child with a process group of its own."""

    words: list[str]
    child: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """kill -9, the whole group: nothing of it gets to clean up."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(10)

    def stop(self) -> None:
        """It does nothing until it is told to go on, and does not notice."""
        os.killpg(self.child.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self.child.pid, signal.SIGCONT)

    def end(self) -> None:
        """A polite end, and an impolite one for those who do not listen."""
        if self.child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(8)
        self.kill()


@dataclass
class House:
    """One installation in a folder of its own."""

    folder: Path
    environment: dict[str, str]
    processes: list[Process] = field(default_factory=list)

    def start(self, name: str, *words: str) -> Process:
        log = self.folder / f"{name}-{len(self.processes)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                words, env=self.environment, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, cwd=ROOT,
            )  # fmt: skip
        process = Process(list(words), child, log)
        self.processes.append(process)
        return process

    def manage(self, *words: str, stdin: str = "", accept: tuple[int, ...] = (0,)) -> str:
        """Run a command to its end; its standard output."""
        done = subprocess.run(
            [sys.executable, MANAGE, *words], env=self.environment, input=stdin, text=True, capture_output=True,
            cwd=ROOT, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode in accept, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def ask(self, script: str) -> Any:
        """Run some Python inside the installation; what it prints last is JSON."""
        prelude = "import json\nfrom django.utils import timezone\nfrom migration.models import *\n"
        out = self.manage("shell", "--no-imports", "-c", prelude + script)
        return json.loads(out.strip().splitlines()[-1])

    def value(self, query: str) -> Any:
        """One value straight from the database: asking costs no process."""
        address = self.environment.get("DATABASE_URL", "")
        if address:
            with psycopg.connect(address) as connection:
                row = connection.execute(query.encode()).fetchone()
        else:
            with contextlib.closing(sqlite3.connect(self.folder / DATABASE, timeout=20)) as connection:
                row = connection.execute(query).fetchone()
        return None if row is None else row[0]

    def wait_for(self, query: str, seconds: float = 40) -> None:
        """Until the query's value is true."""
        until = time.monotonic() + seconds
        while not self.value(query):
            if time.monotonic() > until:
                logs = "\n".join(process.log.read_text()[-1500:] for process in self.processes[1:])
                raise TimeoutError(f"not within {seconds} s: {query}\n{logs}")
            time.sleep(0.05)

    def up(self) -> tuple[Process, str]:
        """The embedded product. Returns the process and the address of its pages."""
        port = free_port()
        process = self.start("up", sys.executable, MANAGE, "up", "--port", str(port))
        wait_for_port(port)
        return process, f"http://{HOST}:{port}"

    def worker(self, name: str = "worker", *, processes: int = 2) -> Process:
        """Two processes that take messages, as on one host; or as many as that."""
        celery = [sys.executable, "-m", "celery", "-A", "imdsdash"]
        return self.start(
            name, *celery, "worker", "-Q", "collect,enforce,notify,celery", "-c", str(processes), "-l", "INFO",
            "--without-mingle", "--without-gossip", "-n", f"{name}@%h",
        )  # fmt: skip

    def beat(self) -> Process:
        schedule = str(self.folder / "beat")
        return self.start("beat", sys.executable, "-m", "celery", "-A", "imdsdash", "beat", "-s", schedule)


class Sandbox:
    """The pretend AWS of an installation, by its control addresses."""

    def __init__(self, url: str) -> None:
        self.url = url

    def calls(self, **filters: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return self._ask("GET", f"calls?{query}")["calls"]

    def instances(self, account_id: str, region: str) -> list[dict[str, Any]]:
        """As the sandbox knows them, with all of their options."""
        return self._ask("GET", f"instances/{account_id}/{region}")["instances"]

    def faults(self, *rules: dict[str, Any]) -> None:
        self._ask("PUT", "faults", {"rules": list(rules)})

    def wait_for_barrier(self, name: str = "", count: int = 1, seconds: float = 40) -> None:
        """Until so many calls wait, at any barrier or at this one."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if sum(name in {"", one["name"]} for one in self._ask("GET", "barriers")["waiting"]) >= count:
                return
            time.sleep(0.05)
        raise TimeoutError(f"fewer than {count} calls came to the barrier {name}")

    def release(self, name: str, action: str) -> None:
        self._ask("POST", f"barriers/{name}/release", {"action": action})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/_sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")


@contextlib.contextmanager
def house(folder: Path, fleet: dict[str, Any] | None, **more: str) -> Iterator[tuple[House, Sandbox]]:
    """An installation with its tables and a running pretend AWS (the demo organisation without a fleet); all of it is
    ended. With a DATABASE_URL the tables are the caller's to make.
    """
    port = free_port()
    url = f"http://{HOST}:{port}"
    one = House(folder, environment(folder, AWS_ENDPOINT_URL=url, **more))
    if "DATABASE_URL" not in more:
        shutil.copy(migrated(), folder / DATABASE)
    fleet_words: list[str] = []
    if fleet is not None:
        (folder / "fleet.json").write_text(json.dumps(fleet))
        fleet_words = ["--fleet", str(folder / "fleet.json")]
    try:
        one.start("sandbox", sys.executable, MANAGE, "sandbox", "--port", str(port), *fleet_words)
        wait_for_port(port)
        yield one, Sandbox(url)
    finally:
        for process in reversed(one.processes):
            process.end()


@cache
def migrated() -> Path:
    """An SQLite database as `manage.py migrate` makes it: run once in a test process, for it takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="imdsdash-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    House(folder, environment(folder)).manage("migrate", "--verbosity", "0")
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in the one file
    return folder / DATABASE


def environment(folder: Path, **more: str) -> dict[str, str]:
    """All that an installation is told, and nothing of this machine's AWS set-up."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return kept | {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "IMDSDASH_DATA_DIR": str(folder),
        "IMDSDASH_SWEEP_SECONDS": "1",
        "IMDSDASH_AWS_CONNECT_TIMEOUT": "1",
        "IMDSDASH_AWS_READ_TIMEOUT": "3",
        "IMDSDASH_LEASE_SECONDS": "6",
        "IMDSDASH_BACKFILL_DAYS": "20",
        "IMDSDASH_CANARY_MINUTES": "0",  # no story waits half an hour for the canary
        "SECRET_KEY": "only-for-tests-" * 4,
        "PYTHONUNBUFFERED": "1",
        **more,
    }
