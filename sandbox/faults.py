"""The fault layer: rules that make AWS behave badly, on purpose and repeatably."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from sandbox import ids
from sandbox.barriers import Barriers
from sandbox.checks import Mistake, Reader
from sandbox.credentials import expired
from sandbox.errors import AwsError, ConnectionCut
from sandbox.permissions import denied
from sandbox.throttle import Buckets, limit_of

if TYPE_CHECKING:
    from sandbox.calls import Effects, Principal
    from sandbox.protocol import Answer, Request

KINDS: Final = (
    "throttle", "access_denied", "apply_then_drop", "drop", "truncate", "pending", "hang", "latency", "stale_reads",
    "error", "expire_credentials", "partial_data", "missing_ids", "wrong_account", "clock", "barrier", "request_limits",
)  # fmt: skip
_OWN_OPERATION: Final = {
    "pending": "ModifyInstanceMetadataOptions",
    "apply_then_drop": "Modify*",
    "stale_reads": "DescribeInstances",
    "partial_data": "GetMetricData",
    "missing_ids": "GetMetricData",
    "wrong_account": "GetCallerIdentity",
}
"""What a kind means when the rule names no operation."""
_OWN_SECONDS: Final = {"latency": 0.05, "clock": 300.0}
_SECONDS: Final = 5.0


@dataclass(slots=True)
class Rule:
    """One rule. `after` matching calls are spared, then `times` are hit, each with `probability`."""

    kind: str
    service: str = "*"
    operation: str = "*"
    account_id: str = "*"
    region: str = "*"
    instance_id: str | None = None
    times: int | None = None
    probability: float = 1.0
    after: int = 0
    seconds: float = _SECONDS
    code: str = "InternalError"
    message: str = "An internal error has occurred"
    status: int = 500
    name: str = ""
    point: str = "before"
    status_code: str = "PartialData"
    instances: tuple[str, ...] = ("*",)
    other_account: str = "999999999999"
    burst: float | None = None
    refill: float | None = None
    matched: int = 0
    hit: int = 0


def read_rules(data: object) -> list[Rule]:
    """The rules of `{"rules": [...]}`, or one sentence about what is wrong."""
    top = Reader(data, "")
    rules = [_rule(each) for each in top.objects("rules")]
    top.finish()
    return rules


def _rule(given: Reader) -> Rule:
    kind = given.choice("kind", KINDS)
    rule = Rule(kind, operation=_OWN_OPERATION.get(kind, "*"))
    for name in ("service", "operation", "account_id", "region", "code", "message", "name", "other_account"):
        setattr(rule, name, given.text(name, getattr(rule, name)))
    rule.instance_id = given.text("instance_id", "") or None
    rule.times = given.integer("times", None, 0)
    rule.after = given.integer("after", 0, 0) or 0
    rule.status = given.integer("status", 500, 300, 599) or 500
    rule.probability = given.number("probability", 1.0, 0, 1)
    seconds = _OWN_SECONDS.get(kind, _SECONDS)
    rule.seconds = given.number("seconds", seconds, -math.inf if kind == "clock" else 0)
    rule.point = given.choice("point", ("before", "after"), "before")
    rule.status_code = given.choice("status_code", ("PartialData", "InternalError", "Forbidden"), "PartialData")
    rule.instances = tuple(given.texts("instances")) or ("*",)
    rule.burst = given.number("burst", 0, 0) or None
    rule.refill = given.number("refill", 0, 0) or None
    given.finish()
    if kind == "barrier" and not rule.name:
        raise Mistake(f"{given.path}.name", "a barrier needs a name to be released by")
    return rule


@dataclass(slots=True)
class Faults:
    """The rules in force."""

    seed: int
    rules: list[Rule] = field(default_factory=list)
    barriers: Barriers = field(default_factory=Barriers)
    buckets: Buckets = field(default_factory=Buckets)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def replace(self, rules: list[Rule]) -> None:
        """Other rules; buckets are full again."""
        with self.lock:
            self.rules = rules
            self.buckets = Buckets()

    def add(self, rules: list[Rule]) -> None:
        """More rules."""
        with self.lock:
            self.rules = [*self.rules, *rules]

    def hits(self, request: Request, principal: Principal, params: dict[str, Any]) -> list[Rule]:
        """The rules that hit this call, counted."""
        with self.lock:
            return [rule for rule in self.rules if _matches(rule, request, principal, params) and self._strikes(rule)]

    def _strikes(self, rule: Rule) -> bool:
        rule.matched += 1
        if rule.matched <= rule.after or (rule.times is not None and rule.hit >= rule.times):
            return False
        if ids.fraction(self.seed, self.rules.index(rule), rule.matched) >= rule.probability:
            return False
        rule.hit += 1
        return True

    def before(self, hits: list[Rule], request: Request, principal: Principal, effects: Effects) -> None:
        """What happens before the operation: refusal, delay, a cut, or a note for the operation."""
        for rule in hits:
            match rule.kind:
                case "throttle":
                    raise throttled(request)
                case "request_limits":
                    self._limit(rule, request, principal)
                case "access_denied":
                    raise denied(request, principal.arn)
                case "error":
                    raise AwsError(rule.code, rule.message, rule.status)
                case "expire_credentials":
                    raise expired(request)
                case "hang" | "latency":
                    time.sleep(rule.seconds)
                case "drop":
                    raise ConnectionCut
                case "barrier" if rule.point == "before":
                    self._wait(rule, request, principal)
                case _:
                    _note(rule, effects)

    def after(self, hits: list[Rule], request: Request, principal: Principal, answer: Answer) -> None:
        """What happens once the operation is applied and before the client is told."""
        for rule in hits:
            if rule.kind == "apply_then_drop":
                raise ConnectionCut
            if rule.kind == "truncate":
                answer.truncated = True
            if rule.kind == "barrier" and rule.point == "after":
                self._wait(rule, request, principal)

    def _wait(self, rule: Rule, request: Request, principal: Principal) -> None:
        facts = {
            "operation": request.operation, "account_id": principal.account_id, "region": request.region,
            "instance_id": request.form.get("InstanceId"), "request_id": request.request_id,
        }  # fmt: skip
        if self.barriers.wait(rule.name, rule.point, facts) == "drop":
            raise ConnectionCut

    def _limit(self, rule: Rule, request: Request, principal: Principal) -> None:
        if request.service != "ec2":
            return
        unpaged = not any(name.startswith(("MaxResults", "Filter.", "InstanceId.")) for name in request.form)
        limit = limit_of(request.operation, unpaged=unpaged)
        if limit is None:
            return
        burst, refill = rule.burst or limit[0], rule.refill or limit[1]
        if not self.buckets.take((principal.account_id, request.region, request.operation), burst, refill):
            raise throttled(request)


def clock_shift(hits: list[Rule]) -> float:
    """Seconds by which the clock of the answering server is wrong."""
    return sum(rule.seconds for rule in hits if rule.kind == "clock")


def throttled(request: Request) -> AwsError:
    """The refusal of a throttled call in its protocol's words."""
    if request.protocol == "ec2":
        return AwsError("RequestLimitExceeded", "Request limit exceeded.", 503)
    if request.service == "organizations":
        return AwsError(
            "TooManyRequestsException", "You have sent too many requests in too short a period of time.", 400
        )
    code = "Throttling" if request.protocol == "query" else "ThrottlingException"
    return AwsError(code, "Rate exceeded", 400)


def _note(rule: Rule, effects: Effects) -> None:
    match rule.kind:
        case "pending":
            effects.pending_seconds = rule.seconds
        case "stale_reads":
            effects.stale = True
        case "partial_data":
            effects.partial.update(dict.fromkeys(rule.instances, rule.status_code))
        case "missing_ids":
            effects.missing.update(rule.instances)
        case "wrong_account":
            effects.account_id = rule.other_account
        case _:
            pass


def _matches(rule: Rule, request: Request, principal: Principal, params: dict[str, Any]) -> bool:
    return (
        fnmatchcase(request.service, rule.service)
        and fnmatchcase(request.operation, rule.operation)
        and fnmatchcase(principal.account_id, rule.account_id)
        and fnmatchcase(request.region, rule.region)
        and (rule.instance_id is None or rule.instance_id in _instance_ids(params))
        and (rule.kind != "expire_credentials" or principal.expires_at is not None)
    )


def _instance_ids(params: dict[str, Any]) -> set[str]:
    named = {str(params["InstanceId"])} if "InstanceId" in params else set()
    return named | {str(one) for one in params.get("InstanceIds", [])}
