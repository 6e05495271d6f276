"""A sandbox inside a test process.

with start({"accounts": [{"id": "123456789012"}]}) as sandbox:
    ec2 = boto3.client("ec2", endpoint_url=sandbox.url, ...)
    assert sandbox.calls(operation="DescribeInstances")
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox.faults import read_rules
from sandbox.fleet.read import build, load
from sandbox.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.world import World


class RunningSandbox:
    """A pretend AWS that listens on loopback, in a thread of this process."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """The endpoint for AWS_ENDPOINT_URL."""
        return self._server.url

    @property
    def world(self) -> World:
        """The world itself, for arranging and asserting without HTTP."""
        return self._server.application.world

    def calls(self, **filters: object) -> list[dict[str, Any]]:
        """The journal, oldest first; `operation=`, `account_id=`, ... must equal, `since=` is a seq."""
        return self._server.application.journal.read({key: str(value) for key, value in filters.items()})

    def clear_calls(self) -> None:
        """Empty the journal."""
        self._server.application.journal.clear()

    def set_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Put these fault rules in force instead of those there are; a rule with a mistake raises `checks.Mistake`."""
        self._server.application.faults.replace(read_rules({"rules": [dict(rule) for rule in rules]}))

    def clear_faults(self) -> None:
        """Behave well again. Calls that wait at a barrier go on waiting."""
        self._server.application.faults.replace([])

    def waiting(self, name: str | None = None) -> list[dict[str, Any]]:
        """The calls that wait at a barrier now: name, point, operation, account_id, region, instance_id, request_id."""
        return [one for one in self._server.application.faults.barriers.waiting() if name in {None, one["name"]}]

    def wait_for(self, name: str, count: int = 1, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Block until `count` calls wait at the barrier; TimeoutError when they do not come."""
        give_up = time.monotonic() + seconds
        while len(self.waiting(name)) < count:
            if time.monotonic() > give_up:
                message = f"{len(self.waiting(name))} of {count} calls came to the barrier {name} in {seconds:g} s"
                raise TimeoutError(message)
            time.sleep(0.01)
        return self.waiting(name)

    def release(self, name: str, action: str = "continue") -> int:
        """Let the calls at a barrier `continue`, or `drop` them; how many there were."""
        return self._server.application.faults.barriers.release(name, action)

    def env(self) -> dict[str, str]:
        """Environment variables with which boto3 uses this sandbox: first long-term key, first Region."""
        world = self.world
        key = next(iter(world.keys.values()), None)
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": key.access_key_id if key else "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key if key else "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_DEFAULT_REGION": next(iter(world.first_account.regions)),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def stop(self) -> None:
        """Stop listening; waiting calls are cut off."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    fleet: Mapping[str, Any] | Path, *, faults: Iterable[Mapping[str, Any]] | None = None, port: int = 0
) -> RunningSandbox:
    """Start a sandbox that serves this fleet (a dict of the fleet file's form, or the path of one).

    Sandboxes of one process share moto's memory, so run them one after another, not side by side.
    A fleet with a mistake raises `checks.Mistake`.
    """
    server = Server(build(load(fleet) if isinstance(fleet, Path) else fleet), port)
    server.start()
    running = RunningSandbox(server)
    if faults is not None:
        running.set_faults(faults)
    return running


def dump(fleet: Mapping[str, Any], path: Path) -> Path:
    """Write a fleet file for `manage.py sandbox --fleet`; the path again."""
    path.write_text(json.dumps(fleet), encoding="utf-8")
    return path
