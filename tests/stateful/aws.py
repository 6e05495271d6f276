"""An AWS of a few instances that keeps a journal, and misbehaves as told. The real tasks are driven against it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import time_machine

from migration.aws import errors
from migration.domain.facts import InstanceFact, MetadataOptions
from migration.tasks import canary, edges, enforcement, verification

NAMES = {
    "HttpTokens": "http_tokens",
    "HttpPutResponseHopLimit": "http_put_response_hop_limit",
    "HttpEndpoint": "http_endpoint",
}
UNSAID = MetadataOptions("optional", 1, "enabled", "disabled", "disabled", "applied")


LAG = timedelta(seconds=20)  # so long after a write AWS may still show what was before it


class Killed(BaseException):
    """SIGKILL: nothing after it is executed, and nobody catches it."""


@dataclass(frozen=True)
class Write:
    """One call as it left: who sent what to whom, what stood there, and what its sender had read before."""

    change: int
    instance_id: str
    live: dict[str, Any]
    read: dict[str, Any] | None
    read_at: datetime | None
    moved: bool  # changed by others between that read and now: nobody can see that
    lagged: bool  # that read was a lagging one: it showed what was before the last write, and nobody can see that
    again: bool  # this very change stands there already, and nobody else has touched it since
    send: dict[str, Any]
    at: datetime


@dataclass
class JournalingAws:
    options: dict[str, MetadataOptions] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)  # of the instances that do not run
    journal: list[Write] = field(default_factory=list)
    moods: list[str] = field(default_factory=list)  # what becomes of the next writes; then "ok"
    lagging: int = 0  # reads that still show what was before the last write
    points: list[int | None] = field(default_factory=list)  # MetadataNoTokenRejected of the canary
    on_write: Any = None  # told of every write as it leaves
    on_sleep: Any = None  # what the world does while a worker sleeps in its call
    on_wait: Any = None  # what the world does while a call is on its way, within its lease
    clock: Any = None
    before: dict[str, MetadataOptions] = field(default_factory=dict)  # what a lagging read shows
    wrote: dict[str, datetime] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)  # whose last read lagged
    looked: dict[str, datetime] = field(default_factory=dict)  # when each was read last
    reads: dict[str, MetadataOptions] = field(default_factory=dict)  # the last read of each
    moved: set[str] = field(default_factory=set)  # changed by others since that read
    arrived: dict[str, set[int]] = field(default_factory=dict)  # changes that stand there, untouched by others

    def read(self, _edge: Any, _target: Any, _region: str, ids: list[str]) -> dict[str, InstanceFact]:
        mood = self.moods.pop(0) if self.moods and self.moods[0].startswith("reading") else ""
        if mood == "reading throttled":
            raise errors.Throttled("RequestLimitExceeded", code="RequestLimitExceeded")
        if mood == "reading killed":
            raise Killed
        lags, self.lagging = self.lagging > 0, max(0, self.lagging - 1)
        found = {}
        for one in ids:
            late = lags and one in self.before and self.clock.now() - self.wrote[one] <= LAG
            options = self.before[one] if late else self.options[one]
            self.reads[one] = options
            self.moved.discard(one)
            (self.behind.add if late else self.behind.discard)(one)
            self.looked[one] = self.clock.now()
            found[one] = InstanceFact(instance_id=one, instance_state=self.states.get(one, "running"), options=options)
        if mood == "reading asleep":
            self.clock.pass_by(600)
        if mood == "reading overslept":
            self.on_sleep()
        return found

    def refused(self, *_: Any, **__: Any) -> tuple[list[int | None], bool]:
        return list(self.points), True

    def drift(self, instance_id: str, **moved: Any) -> None:
        """Somebody else changes it."""
        self.options[instance_id] = replace(self.options[instance_id], **moved)
        self.before.pop(instance_id, None)
        self.moved.add(instance_id)
        self.arrived.pop(instance_id, None)

    def write(
        self, _edge: Any, _target: Any, _region: str, instance_id: str, _before: Any, send: dict[str, Any], token: str
    ) -> str:
        change = int(token.rpartition("-")[2])
        self._sent(change, instance_id, send)
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
        if mood == "slow":
            self.on_wait(change)
        self._apply(change, instance_id, send)
        if mood == "killed after":
            raise Killed
        if mood == "lost after":
            raise errors.Unreachable("no answer")
        if mood == "answered late":
            self.on_sleep()
        return f"request-{len(self.journal)}"

    def _sent(self, change: int, instance_id: str, send: dict[str, Any]) -> None:
        read = self.reads.get(instance_id)
        write = Write(
            change,
            instance_id,
            live=self.options[instance_id].as_aws(),
            read=read.as_aws() if read is not None else None,
            read_at=self.looked.get(instance_id),
            moved=instance_id in self.moved,
            lagged=instance_id in self.behind,
            again=change in self.arrived.get(instance_id, ()),
            send=dict(send),
            at=self.clock.now(),
        )
        self.journal.append(write)
        self.on_write(write)

    def _apply(self, change: int, instance_id: str, send: dict[str, Any]) -> None:
        self.before[instance_id], self.wrote[instance_id] = self.options[instance_id], self.clock.now()
        self.options[instance_id] = replace(
            self.options[instance_id], **{NAMES[name]: value for name, value in send.items()}
        )
        self.arrived.setdefault(instance_id, set()).add(change)


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
            (canary, "cloudwatch", SimpleNamespace(lately=aws.refused)),
            (enforcement, "enforcer", writers),
            (enforcement, "time", SimpleNamespace(sleep=clock.pass_by, monotonic=lambda: 0.0)),
            (edges, "reader", lambda: edge),
            (edges, "writer", lambda: edge),
        ):
            stack.enter_context(patch.object(where, name, what))
        yield
