"""An installation of imdsdash in a folder of its own, the replay server it talks to, and what its commands cost."""

import atexit
import contextlib
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
SPENT = str(Path(__file__).resolve().parent / "spent.py")
DATABASE = "bench.sqlite3"  # in the installation's folder, unless DATABASE_URL says otherwise
WAIT = 60  # seconds for a process to come up or to end


class NotMeasured(Exception):
    """Why there is no figure, in a sentence."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command cost, its children included."""

    seconds: float
    cpu_seconds: float
    peak_mib: float  # resident, pages of mapped files included
    peak_own_mib: float  # without those
    out: str

    @property
    def last_object(self) -> dict[str, Any]:
        """The JSON object on the last line of what it printed."""
        found: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return found


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder and the environment of every process in it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str) -> Spent:
        """Run a command to its end. Raises NotMeasured with the command's own words when it fails."""
        report, errors = self.folder / "spent.json", self.folder / "errors.log"
        with errors.open("w") as log:
            done = subprocess.run(  # noqa: S603 -- our own commands
                [sys.executable, "-S", "-E", SPENT, str(report), *words],
                env=self.environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
        if done.returncode:
            said = errors.read_text().strip()[-1000:]
            raise NotMeasured(f"`{' '.join(words[1:])}` ended with {done.returncode}: {said}")
        return Spent(**json.loads(report.read_text()), out=done.stdout)

    def manage(self, *words: str) -> Spent:
        return self.run(sys.executable, MANAGE, *words)

    def start(self, name: str, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a process with a group of its own; what it says goes to `name`.log. `more`: environment."""
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 -- our own commands
                words,
                env=self.environment | more,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def end(process: subprocess.Popen[Any], *, first: signal.Signals = signal.SIGTERM) -> None:
    """End a process that `start` made, its group with it: politely, and then not."""
    for each in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, each)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WAIT / 4)


def bare_environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine's AWS set-up, and data in the folder alone."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return kept | {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "IMDSDASH_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / DATABASE}",
        "REDIS_URL": "",
        "SECRET_KEY": "only-for-benchmarks-" * 3,
        "PYTHONUNBUFFERED": "1",
        **more,
    }


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="imdsdash-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def installed(url: str, **more: str) -> Iterator[Installation]:
    """A fresh installation on SQLite, migrated, that takes the URL for AWS."""
    with scratch() as folder:
        one = Installation(folder, bare_environment(folder, AWS_ENDPOINT_URL=url, **more))
        shutil.copy(_migrated(), folder / DATABASE)
        yield one


@cache
def _migrated() -> Path:
    """An SQLite database with its tables and no rows, made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="imdsdash-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Installation(folder, bare_environment(folder)).manage("migrate", "--verbosity", "0")
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in the one file
    return folder / DATABASE


@dataclass(frozen=True, slots=True)
class Server:
    """A running replay server."""

    url: str
    pid: int

    def calls(self, *, forget: bool = False) -> dict[str, Any]:
        """What was asked since it last forgot."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=WAIT)
        try:
            connection.request("DELETE" if forget else "GET", "/_replay/calls")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found


@contextmanager
def replay(**options: Any) -> Iterator[Server]:
    """A replay server in a process of its own: `replay(instances=1000, required_share=0.4)`."""
    words = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen(  # noqa: S603 -- our own module
        [sys.executable, "-m", "benchmarks.replay", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 -- for the type checker: it is a pipe
        first = process.stdout.readline()
        if not first:
            raise NotMeasured("The replay server did not come up.")
        yield Server(first.split()[0], process.pid)
    finally:
        end(process)
        if process.stdout is not None:
            process.stdout.close()
