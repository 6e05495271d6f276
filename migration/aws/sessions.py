"""Credentials and calls. Every AWS request of the product is sent by `Edge.ask`, and every boto3 client is made here.

One client a service and Region serves all accounts; each request is signed with the credentials of the account it is
meant for. A thousand accounts in seventeen Regions would otherwise be tens of thousands of clients, each with its own
connections, at 18 ms and some 300 kB apiece. The session the clients are made from has no credentials of its own, so
a request that is not told whose it is cannot be signed at all.

Nothing an account's credentials read is believed before GetCallerIdentity has answered with the account that was meant.
"""

import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError
from botocore.utils import parse_timestamp

from migration.aws import errors, retry
from migration.aws.models import TrimmedLoader, cut
from migration.aws.pace import Pace

SESSION_SECONDS = 3600  # role chaining caps at one hour (IAM quotas); botocore renews it in mid-sweep
FALLBACK_REGION = "us-east-1"
REMEMBERED = 2000  # roles whose credentials are kept
# What every true answer has. A proxy's page of well-formed HTML is read by botocore as an answer with nothing in it,
# and an empty inventory would say that all instances are gone. Lists that may truly be empty in a JSON answer are not
# named, for nothing in AWS's text says that an empty one is sent; there the content type is looked at.
ALWAYS = {
    "AssumeRole": "Credentials",
    "CreateLaunchTemplateVersion": "LaunchTemplateVersion",
    "DescribeAutoScalingGroups": "AutoScalingGroups",
    "DescribeImages": "Images",
    "DescribeInstances": "Reservations",
    "DescribeLaunchConfigurations": "LaunchConfigurations",
    "DescribeLaunchTemplateVersions": "LaunchTemplateVersions",
    "DescribeLaunchTemplates": "LaunchTemplates",
    "DescribeOrganization": "Organization",
    "DescribeRegions": "Regions",
    "DescribeScalingActivities": "Activities",
    "DescribeSpotInstanceRequests": "SpotInstanceRequests",
    "GetCallerIdentity": "Account",
    "GetMetricData": "MetricDataResults",
    "ListAccounts": "Accounts",
    "ListRoots": "Roots",
    "ModifyInstanceMetadataDefaults": "Return",
    "ModifyInstanceMetadataOptions": "InstanceMetadataOptions",
    "ModifyLaunchTemplate": "LaunchTemplate",
}

_signs: ContextVar[Any] = ContextVar("signs", default=None)  # the credentials the request at hand is signed with


@dataclass(frozen=True, slots=True)
class Limits:
    connect_timeout: float = 5.0  # seconds
    read_timeout: float = 30.0  # seconds
    attempts: int = 8  # of a read that is throttled; a write is sent once


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to be: an account by way of a role, or, without a role, the ambient credentials."""

    account_id: str
    role_arn: str = ""
    external_id: str = ""
    session_name: str = "imdsdash"
    source_identity: str = ""


@dataclass
class Tally:
    """What was asked of one account in one Region since the last `Meter.take`."""

    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    clock_skew: float | None = None  # seconds AWS's clock is ahead of ours, by the Date of its answers


@dataclass
class Meter:
    """How many requests were sent, by operation, every retry counted: altogether, and for each account and Region."""

    calls: Counter[str] = field(default_factory=Counter)
    _places: dict[tuple[str, str], Tally] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, account_id: str, region: str, operation: str) -> None:
        with self._lock:
            self.calls[operation] += 1
            self._places.setdefault((account_id, region), Tally()).calls[operation] += 1

    def throttled(self, account_id: str, region: str, operation: str) -> None:
        with self._lock:
            self._places.setdefault((account_id, region), Tally()).throttled[operation] += 1

    def skewed(self, account_id: str, region: str, seconds: float) -> None:
        with self._lock:
            self._places.setdefault((account_id, region), Tally()).clock_skew = seconds

    def give(self, account_id: str, region: str, tally: Tally) -> None:
        """Count for this place what another was asked on its behalf."""
        with self._lock:
            place = self._places.setdefault((account_id, region), Tally())
            place.calls.update(tally.calls)
            place.throttled.update(tally.throttled)
            place.clock_skew = tally.clock_skew if place.clock_skew is None else place.clock_skew

    def take(self, account_id: str, region: str) -> Tally:
        """What was counted for the place since this was last asked; counting begins anew."""
        with self._lock:
            return self._places.pop((account_id, region), Tally())


class Edge:
    """All AWS sessions of one process for one purpose. Safe to share between threads."""

    def __init__(
        self, *, limits: Limits, region: str = "", meter: Meter | None = None, pace: Pace | None = None
    ) -> None:
        self.limits = limits
        self.meter = meter or Meter()
        self.pace = pace or Pace()
        self._lock = threading.RLock()
        self._credentials: OrderedDict[Target, Any] = OrderedDict()
        self._believed: OrderedDict[Target, None] = OrderedDict()
        self._clients: dict[tuple[str, str], Any] = {}
        try:
            self._ambient = botocore.session.Session()
            self._loader = loader = TrimmedLoader(self._ambient.get_config_variable("data_path"))
            self._boto3: Any = boto3.Session(botocore_session=_core(loader, timestamp))
            # CloudWatch's times are the hours of datapoints, thousands to an answer: they stay seconds.
            self._metrics: Any = boto3.Session(botocore_session=_core(loader, epoch))
            self.home_region = region or self._ambient.get_config_variable("region") or FALLBACK_REGION
        except Exception as error:
            raise errors.translate(error, operation="session", place="this machine") from error

    def ask(
        self,
        target: Target,
        service: str,
        region: str,
        operation: str,
        *,
        once: bool = False,
        points: int = 0,
        **params: Any,
    ) -> dict[str, Any]:
        """One call in the target account, whose identity is checked first. `operation`: boto3's, `describe_instances`.

        It waits for the account's pace, and asks again what failed in passing (`retry`); `once`: a write, never sent
        twice by itself. `points`: datapoints the answer may hold, where AWS limits these. Raises AwsError.
        """
        self.enter(target)
        return self._ask(target, service, region, operation, params, once=once, points=points)

    def enter(self, target: Target) -> None:
        """Get the target's credentials and see that they are the target's. Raises AwsError."""
        with self._lock:
            if target in self._believed:
                self._believed.move_to_end(target)
                return
        answered = self.caller_account(target)
        if answered != target.account_id:
            raise errors.WrongAccount(
                f"The credentials for account {target.account_id} answer as account {answered}, so nothing they say "
                "was believed. Check the role's ARN.",
                operation="GetCallerIdentity",
            )
        self._believe(target)

    def caller_account(self, target: Target) -> str:
        """The account the credentials belong to (GetCallerIdentity). Raises AwsError."""
        return str(self._ask(target, "sts", self.home_region, "get_caller_identity", {})["Account"])

    def ambient(self) -> Target:
        """The ambient credentials, named by the account they turn out to be. Raises AwsError."""
        found = Target(account_id=self.caller_account(Target(account_id="")))
        self._believe(found)
        return found

    def _believe(self, target: Target) -> None:
        with self._lock:
            self._believed[target] = None
            while len(self._believed) > REMEMBERED:
                self._believed.popitem(last=False)

    def _ask(
        self,
        target: Target,
        service: str,
        region: str,
        operation: str,
        params: dict[str, Any],
        *,
        once: bool = False,
        points: int = 0,
        place: str = "",
    ) -> dict[str, Any]:
        place = place or _place(target, region)
        try:
            client = self._client(service, region)
        except Exception as error:
            raise errors.translate(error, operation=operation, place=place) from error
        name = client.meta.method_to_api_mapping[operation]
        for attempt in count(1):
            try:
                return self._send(client, target, region, operation, params, points=points, place=place)
            except errors.AwsError as told:
                # AssumeRole on the way has been tried as often as helps: to try all of it again would square that.
                if once or told.operation != name or attempt >= retry.attempts(told, most=self.limits.attempts):
                    raise
                throttled = isinstance(told, errors.Throttled)
            retry.pause(attempt, throttled=throttled)
        raise AssertionError  # count() has no end

    def _send(
        self,
        client: Any,
        target: Target,
        region: str,
        operation: str,
        params: dict[str, Any],
        *,
        points: int,
        place: str,
    ) -> dict[str, Any]:
        """One attempt, counted, paced and signed as the target. Raises AwsError."""
        name = client.meta.method_to_api_mapping[operation]
        key = (target.account_id, region, name)
        try:
            credentials = self._credentials_of(target)
            credentials.get_frozen_credentials()  # here AssumeRole is asked, when it is time
        except Exception as error:
            raise errors.translate(error, operation=name, place=place) from error
        self.pace.wait(key)
        if points:
            self.pace.wait((target.account_id, region, f"{name} points"), points)
        try:
            with _signed_with(credentials):
                self.meter.sent(*key)
                answer: dict[str, Any] = getattr(client, operation)(**params)
        except Exception as error:
            told = errors.translate(error, operation=name, place=place)
            if throttled := isinstance(told, errors.Throttled):
                self.meter.throttled(*key)
            self.pace.answered(key, throttled=throttled)
            self._compare_clocks(target, region, getattr(error, "response", None) or {})
            if told.code in errors.EXPIRED_CODES:
                self._forget(target, credentials)
            raise told from error
        self.pace.answered(key, throttled=False)
        self._compare_clocks(target, region, answer)
        if (member := ALWAYS.get(name)) and member not in answer:
            raise errors.Unreachable(
                f"{name} in {place} got an answer that is not AWS's: it has no {member}.", operation=name
            )
        return answer

    def _compare_clocks(self, target: Target, region: str, answer: dict[str, Any]) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            self.meter.skewed(target.account_id, region, parsedate_to_datetime(date).timestamp() - time.time())

    def _credentials_of(self, target: Target) -> Any:
        with self._lock:
            if not target.role_arn:
                found = self._ambient.get_credentials()
                if found is None:
                    raise NoCredentialsError
                return found
            if target not in self._credentials:
                self._credentials[target] = DeferredRefreshableCredentials(
                    refresh_using=lambda: self._assume(target), method="sts-assume-role"
                )
                while len(self._credentials) > REMEMBERED:
                    self._credentials.popitem(last=False)
            self._credentials.move_to_end(target)
            return self._credentials[target]

    def _forget(self, target: Target, credentials: Any) -> None:
        """The session has run out before its time: the next request gets another one, if nobody has got it yet."""
        with self._lock:
            if self._credentials.get(target) is credentials:
                del self._credentials[target]

    def _assume(self, target: Target) -> dict[str, str]:
        """What botocore calls to get, and later to renew, the role's credentials."""
        asked: dict[str, Any] = {
            "RoleArn": target.role_arn,
            "RoleSessionName": session_name(target.session_name),
            "DurationSeconds": SESSION_SECONDS,
        }
        if target.external_id:
            asked["ExternalId"] = target.external_id
        if target.source_identity:
            asked["SourceIdentity"] = session_name(target.source_identity)
        me = Target(account_id="")
        answer = self._ask(me, "sts", self.home_region, "assume_role", asked, place=target.account_id)
        given = answer["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                session = self._metrics if service == "cloudwatch" else self._boto3
                client = session.client(service, region_name=region, config=self._config(service))
                client.meta.events.register("before-sign", _sign)
                client.meta.events.register("before-parse", self._received)
                self._clients[key] = client
            return self._clients[key]

    def _received(self, response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
        """The event `before-parse`: refuse half an answer; take out of a page of instances what is not read from it."""
        _whole(response_dict, str(operation_model.name))
        inventory = operation_model.name == "DescribeInstances" and response_dict["status_code"] == HTTPStatus.OK
        if inventory and self._loader.unread is not None:
            response_dict["body"] = cut(response_dict["body"], self._loader.unread)

    def _config(self, service: str) -> Config:
        """One attempt, for asking again is ours: botocore's retry quota belongs to the client, and one client serves
        all accounts, so that a single throttled account would take it from the others.
        """
        return Config(
            connect_timeout=self.limits.connect_timeout,
            read_timeout=self.limits.read_timeout,
            max_pool_connections=64,
            retries={"mode": "standard", "total_max_attempts": 1},
            # 500 queries are checked against the model one by one, which costs as much as sending them.
            parameter_validation=service != "cloudwatch",
            user_agent_extra="imdsdash",
        )


def _core(loader: TrimmedLoader, read_time: Callable[[Any], Any]) -> botocore.session.Session:
    """A botocore session with cut models and no credentials, whose parsers read times our way.

    botocore's own reading of a datapoint's timestamp is nearly the whole cost of a GetMetricData answer.
    """
    core = botocore.session.Session()
    core.register_component("data_loader", loader)
    core.register_component("credential_provider", CredentialResolver(providers=[]))
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_time)
    return core


def _place(target: Target, region: str) -> str:
    return f"{target.account_id}/{region}" if target.account_id else "the ambient account"


@contextmanager
def _signed_with(credentials: Any) -> Iterator[None]:
    """Requests sent inside are signed with these credentials, and with no others."""
    token = _signs.set(credentials)
    try:
        yield
    finally:
        _signs.reset(token)


def _sign(request: Any, **_: Any) -> None:
    """The event `before-sign`: the credentials of the call at hand. Without any the client has none, and refuses."""
    request.context.setdefault("signing", {})["request_credentials"] = _signs.get()


def _whole(response: dict[str, Any], name: str) -> None:
    """An answer that was cut off is no answer.

    botocore does not compare a body with its Content-Length, and reads half a JSON document as an empty one: a page
    of metrics that was cut in the middle would be the last page. Raises Unreachable.
    """
    if "html" in response["headers"].get("content-type", ""):
        raise errors.Unreachable(f"{name} got an answer that is not AWS's: a page of HTML.", operation=name)
    told, body = response["headers"].get("content-length"), response.get("body")
    if told is None or response["headers"].get("content-encoding") or not isinstance(body, bytes):
        return
    if len(body) != int(told):
        raise errors.Unreachable(f"{name}: the answer was cut off: {len(body)} of {told} bytes came.", operation=name)


def timestamp(value: Any) -> datetime:
    """Epoch seconds and ISO 8601 the short way, everything else as botocore reads it. Always UTC."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        read = parse_timestamp(value)
    return read.astimezone(UTC) if read.tzinfo is not None else read.replace(tzinfo=UTC)


def epoch(value: Any) -> float:
    """Epoch seconds, in whatever form the time comes."""
    return value if isinstance(value, int | float) else timestamp(value).timestamp()


def session_name(text: str) -> str:
    """A RoleSessionName or SourceIdentity: 2-64 letters, digits or any of `_+=,.@-` (STS API)."""
    return re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)[:64].ljust(2, "-")
