"""`manage.py demo`: the pretend AWS and the whole product on this machine, in one go, ended by Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sandbox import story
from sandbox.meddle import meddle

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from pathlib import Path
    from types import FrameType

HOST = "127.0.0.1"
PASSWORD = "imdsdash-demo"  # noqa: S105 -- printed on the screen; the demo listens on this machine only
PEOPLE = ("viewer", "engineer", "approver")
PARTIAL = 3  # `collect`: one demo account denies access, so a complete sweep is not to be had
STAYING = ("sandbox", "up")  # those that end only with the demo
READY_WITHIN = 60  # seconds a child may take to answer


class Command(BaseCommand):
    help = "Start the demo: a pretend AWS organisation, web, worker and beat. Ctrl-C ends all of it; data is kept."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port of the pages (default: 8000)")
        parser.add_argument("--sandbox-port", type=int, default=5123, help="port of the pretend AWS (default: 5123)")
        parser.add_argument("--reset", action="store_true", help="forget what an earlier demo kept")

    def handle(self, *_: object, **options: Any) -> None:
        folder = settings.DATA_DIR / "demo"
        for port, option in ((options["port"], "--port"), (options["sandbox_port"], "--sandbox-port")):
            refuse_taken(port, option)
        if options["reset"]:
            forget(folder)
        folder.mkdir(parents=True, exist_ok=True)
        first = not any(folder.iterdir())
        with Children(environment(folder, options["sandbox_port"])) as children:
            children.start(
                "sandbox", "--port", str(options["sandbox_port"]), "--state", str(folder / "aws-state.jsonl")
            )
            children.run("migrate", "--verbosity", "0")
            children.await_port(options["sandbox_port"])
            self.stdout.write("The pretend AWS is up. Collecting its organisation:")
            self.stdout.flush()
            children.run("accounts", "discover")
            for name in PEOPLE:
                children.run("people", "add", name, "--role", name, "--password-stdin", stdin=PASSWORD, quiet=True)
            children.run("collect", accept=(0, PARTIAL))
            if first:
                self.stdout.write("Somebody changes two things behind its back, and it looks again:")
                self.stdout.flush()
                meddle(f"http://{HOST}:{options['sandbox_port']}")
                children.run("user_data", "look", quiet=True)
                children.run("collect", accept=(0, PARTIAL))
            children.start("up", "--port", str(options["port"]), quiet=True)
            children.await_port(options["port"])
            with suppress(OSError):  # the demo is worth seeing without what its people did before
                story.tell(f"http://{HOST}:{options['port']}", PASSWORD)
            self.stdout.write(greeting(options["port"]))
            self.stdout.flush()
            children.wait()
        self.stdout.write("The demo has ended; its data is kept. `make demo` goes on with it.")


def greeting(port: int) -> str:
    logins = "\n".join(f"    {name:9} / {PASSWORD}" for name in PEOPLE)
    return (
        f"\nimdsdash is ready:  http://{HOST}:{port}/\n\n  Logins (name / password):\n{logins}\n\n"
        "  Log in as engineer, open an account with ready instances and click Enforce; then approve as approver.\n"
        "  Ctrl-C ends everything."
    )


def environment(folder: Path, sandbox_port: int) -> dict[str, str]:
    """The children's environment: the demo's own data, and an AWS that is only on this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IMDSDASH_"))}
    for name in ("DATABASE_URL", "REDIS_URL"):
        kept.pop(name, None)
    return kept | {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{sandbox_port}",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "IMDSDASH_DATA_DIR": str(folder),
        "IMDSDASH_EXTERNAL_ID": "imdsdash-demo",
        "IMDSDASH_SWEEP_SECONDS": "5",
        "IMDSDASH_CANARY_MINUTES": "0",  # CloudWatch takes ten minutes to say anything, and a demo has not got them
        "IMDSDASH_USER_DATA": "true",
        "IMDSDASH_LOG_FORMAT": "console",
        "IMDSDASH_LOG_LEVEL": "ERROR",
        "PYTHONUNBUFFERED": "1",
    }


def refuse_taken(port: int, option: str) -> None:
    """Raise CommandError when a port cannot be listened on, before anything is started."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "a port is a number up to 65535"
            raise CommandError(
                f"Port {port} on {HOST} cannot be used ({why}): another program, perhaps another demo, "
                f"listens there. Stop it, or choose another: make demo DEMO_ARGS='{option} {port + 100}'. "
                "Nothing was started."
            ) from error


def forget(folder: Path) -> None:
    """Remove what an earlier demo kept."""
    for path in folder.glob("*"):
        if path.is_file():
            path.unlink()


class Children:
    """The demo's processes. However it ends, none of them outlives it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        children = [child for _, child in reversed(self.running)]
        for child in children:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + 10
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return kind is KeyboardInterrupt

    def start(self, *words: str, quiet: bool = False) -> None:
        """A child that goes on. It gets a session of its own, so that Ctrl-C reaches it through us, in order."""
        child = subprocess.Popen(  # noqa: S603 -- our own manage.py
            command(words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else None,
            start_new_session=True,
        )
        self.running.append((words[0], child))

    def run(self, *words: str, accept: tuple[int, ...] = (0,), stdin: str = "", quiet: bool = False) -> None:
        """A child that is waited for. Raises CommandError when it ends otherwise than accepted."""
        child = subprocess.Popen(  # noqa: S603 -- our own manage.py
            command(words),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if quiet else None,
            start_new_session=True,
        )
        self.running.append((words[0], child))
        child.communicate(f"{stdin}\n".encode())
        if child.returncode not in accept:
            raise CommandError(f"`manage.py {words[0]}` ended with {child.returncode}, so the demo was not started.")

    def await_port(self, port: int) -> None:
        """Wait until something answers there. Raises CommandError when a child has died or it takes too long."""
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            self._all_alive()
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((HOST, port)) == 0:
                    return
            time.sleep(0.1)
        raise CommandError(f"Nothing answered at {HOST}:{port} within {READY_WITHIN} s, so the demo was ended.")

    def wait(self) -> None:
        """Until Ctrl-C, or until a child dies."""
        while True:
            self._all_alive()
            time.sleep(0.5)

    def _all_alive(self) -> None:
        for name, child in self.running:
            if name in STAYING and child.poll() is not None:
                raise CommandError(f"`manage.py {name}` ended with {child.returncode}; the demo was ended with it.")


def command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
