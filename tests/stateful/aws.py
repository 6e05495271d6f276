"""An AWS of a few instances that keeps a journal, and misbehaves as told. The real tasks are driven against it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import time_machine

from migration.aws import errors
from migration.domain.facts import InstanceFact, MetadataOptions
from migration.tasks import edges, enforcement, verification

NAMES = {
    "HttpTokens": "http_tokens",
    "HttpPutResponseHopLimit": "http_put_response_hop_limit",
    "HttpEndpoint": "http_endpoint",
}
UNSAID = MetadataOptions("optional", 1, "enabled", "disabled", "disabled", "applied")


class Killed(BaseException):
    """SIGKILL: nothing after it is executed, and nobody catches it."""


@dataclass(frozen=True)
class Write:
    """One call that arrived at AWS: what stood there, what was sent."""

    instance_id: str
    live: dict[str, Any]
    send: dict[str, Any]
    at: datetime
    asleep: bool  # its worker had slept past its lease; nobody can call such a write back


@dataclass
class JournalingAws:
    options: dict[str, MetadataOptions] = field(default_factory=dict)
    journal: list[Write] = field(default_factory=list)
    moods: list[str] = field(default_factory=list)  # what becomes of the next writes; then "ok"
    on_write: Any = None  # told of every write before it is applied
    on_sleep: Any = None  # what the world does while a worker sleeps in its call
    clock: Any = None

    def fact(self, instance_id: str) -> InstanceFact:
        return InstanceFact(instance_id=instance_id, instance_state="running", options=self.options[instance_id])

    def read(self, _edge: Any, _target: Any, _region: str, ids: list[str]) -> dict[str, InstanceFact]:
        return {one: self.fact(one) for one in ids if one in self.options}

    def drift(self, instance_id: str, **moved: Any) -> None:
        """Somebody else changes it."""
        self.options[instance_id] = replace(self.options[instance_id], **moved)

    def write(
        self, _edge: Any, _target: Any, _region: str, instance_id: str, _before: Any, send: dict[str, Any], _token: str
    ) -> str:
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "throttled":
            raise errors.Throttled("RequestLimitExceeded", code="RequestLimitExceeded")
        if mood == "refused":
            raise errors.Denied("UnauthorizedOperation", code="UnauthorizedOperation")
        if mood == "killed before":
            raise Killed
        if mood == "lost before":
            raise errors.Unreachable("no answer")
        if mood == "asleep":
            self.on_sleep()
        self._apply(instance_id, send, asleep=mood == "asleep")
        if mood == "killed after":
            raise Killed
        if mood == "lost after":
            raise errors.Unreachable("no answer")
        return f"request-{len(self.journal)}"

    def _apply(self, instance_id: str, send: dict[str, Any], *, asleep: bool) -> None:
        live = self.options[instance_id].as_aws()
        write = Write(instance_id, live, dict(send), self.clock.now(), asleep)
        self.on_write(write)
        self.journal.append(write)
        self.options[instance_id] = replace(
            self.options[instance_id], **{NAMES[name]: value for name, value in send.items()}
        )


class Clock:
    """The only time there is; sleeping moves it."""

    def __init__(self, start: datetime) -> None:
        self.traveller = time_machine.travel(start, tick=False)
        self.handle = self.traveller.start()

    def now(self) -> datetime:
        from django.utils import timezone

        return timezone.now()

    def pass_by(self, seconds: float) -> None:
        self.handle.shift(seconds)

    def stop(self) -> None:
        self.traveller.stop()


@contextmanager
def standing_in(aws: JournalingAws, clock: Clock) -> Iterator[None]:
    """The real tasks with this AWS in their hands, and with this clock."""
    edge = SimpleNamespace(enter=lambda _target: None)
    writers = SimpleNamespace(WRITERS={"instance": aws.write})
    with ExitStack() as stack:
        for where, name, what in (
            (verification, "ec2", SimpleNamespace(instances_by_id=aws.read)),
            (enforcement, "enforcer", writers),
            (enforcement, "time", SimpleNamespace(sleep=clock.pass_by, monotonic=lambda: 0.0)),
            (edges, "reader", lambda: edge),
            (edges, "writer", lambda: edge),
        ):
            stack.enter_context(patch.object(where, name, what))
        yield
