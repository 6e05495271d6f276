"""A call as the operations see it, and the register of the operations the sandbox answers itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sandbox.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.protocol import Answer, Request
    from sandbox.world import Account, Region, World

    Handler: TypeAlias = Callable[["Call"], dict[str, Any] | Answer]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls."""

    account_id: str
    arn: str
    user_id: str
    kind: str = "user"
    role_name: str | None = None
    session_name: str | None = None
    source_identity: str | None = None
    external_id: str | None = None
    expires_at: float | None = None


@dataclass(slots=True)
class Effects:
    """What the fault layer wants an operation to do differently."""

    pending_seconds: float | None = None
    stale: bool = False
    partial: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    account_id: str | None = None


@dataclass(slots=True)
class Call:
    """One authenticated call."""

    world: World
    request: Request
    principal: Principal
    params: dict[str, Any]
    effects: Effects = field(default_factory=Effects)
    now: float = field(default_factory=time.time)
    applied: bool = False

    @property
    def account(self) -> Account:
        """The caller's account."""
        return self.world.accounts[self.principal.account_id]

    @property
    def region(self) -> Region:
        """What the caller's account has in the called Region."""
        return self.account.regions[self.request.region]

    def stop_if_dry_run(self) -> None:
        """DryRun of a permitted call is an error by this name, and changes nothing."""
        if self.params.get("DryRun"):
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


OPERATIONS: Final[dict[tuple[str, str], Handler]] = {}
WRITES: Final[set[tuple[str, str]]] = set()


def operation(service: str, name: str, *, writes: bool = False) -> Callable[[Handler], Handler]:
    """Register the answer to an operation; `writes` marks those that change something."""

    def register(handler: Handler) -> Handler:
        OPERATIONS[service, name] = handler
        if writes:
            WRITES.add((service, name))
        return handler

    return register
