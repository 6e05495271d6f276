"""Credentials and clients. Every boto3 client of the product is made here, with time limits and a retry rule.

A session is made once per role; nothing it reads is believed before GetCallerIdentity has answered with the
account that was meant.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.utils import parse_timestamp

from migration.aws import errors

SESSION_SECONDS = 3600  # role chaining caps at one hour (IAM quotas); botocore renews it in mid-sweep
FALLBACK_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Limits:
    connect_timeout: float = 5.0  # seconds
    read_timeout: float = 30.0  # seconds
    attempts: int = 8  # of a read; a write is sent once


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to be: an account by way of a role, or, without a role, the ambient credentials."""

    account_id: str
    role_arn: str = ""
    external_id: str = ""
    session_name: str = "imdsdash"
    source_identity: str = ""


@dataclass
class Meter:
    """How many requests were sent, by operation, every retry counted."""

    calls: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, event_name: str) -> None:
        """Count one of botocore's `before-send.<service>.<Operation>`."""
        with self._lock:
            self.calls[event_name.rsplit(".", 1)[-1]] += 1


class Edge:
    """All AWS sessions of one process for one purpose. Safe to share between threads."""

    def __init__(self, *, limits: Limits, region: str = "", meter: Meter | None = None) -> None:
        self.limits = limits
        self.meter = meter or Meter()
        self._lock = threading.RLock()
        self._sessions: dict[Target, boto3.Session] = {}
        self._clients: dict[tuple[Target, str, str, bool], Any] = {}
        self._believed: set[Target] = set()
        try:
            self._loader = botocore.session.Session().get_component("data_loader")
            self._ambient = boto3.Session(botocore_session=self._core())
        except Exception as error:
            raise errors.translate(error, operation="session", place="this machine") from error
        self.home_region = region or self._ambient.region_name or FALLBACK_REGION

    def client(self, target: Target, service: str, region: str, *, once: bool = False) -> Any:
        """A client in the target account, after its identity was checked. `once`: a write, never sent twice by itself.

        Raises AwsError.
        """
        self._believe(target)
        return self._client(target, service, region, once=once)

    def caller_account(self, target: Target) -> str:
        """The account the credentials belong to (GetCallerIdentity). Raises AwsError."""
        client = self._client(target, "sts", self.home_region)
        answer = call(client.get_caller_identity, place=target.account_id or "the ambient account")
        return str(answer["Account"])

    def ambient(self) -> Target:
        """The ambient credentials, named by the account they turn out to be. Raises AwsError."""
        account_id = self.caller_account(Target(account_id=""))
        found = Target(account_id=account_id)
        with self._lock:
            self._believed.add(found)
            self._sessions[found] = self._ambient
        return found

    def _believe(self, target: Target) -> None:
        with self._lock:
            if target in self._believed:
                return
        answered = self.caller_account(target)
        if answered != target.account_id:
            raise errors.WrongAccount(
                f"The credentials for account {target.account_id} answer as account {answered}, so nothing they say "
                "was believed. Check the role's ARN.",
                operation="GetCallerIdentity",
            )
        with self._lock:
            self._believed.add(target)

    def _client(self, target: Target, service: str, region: str, *, once: bool = False) -> Any:
        key = (target, service, region, once)
        with self._lock:
            if key not in self._clients:
                session: Any = self._session(target)
                config = self._config(once=once)
                try:
                    client = session.client(service, region_name=region, config=config)
                except Exception as error:
                    raise errors.translate(error, operation=f"{service} client", place=region) from error
                client.meta.events.register("before-send", self._count)
                self._clients[key] = client
            return self._clients[key]

    def _count(self, event_name: str, **_: Any) -> None:
        self.meter.count(event_name)

    def _config(self, *, once: bool) -> Config:
        return Config(
            connect_timeout=self.limits.connect_timeout,
            read_timeout=self.limits.read_timeout,
            max_pool_connections=32,
            retries={"mode": "standard", "total_max_attempts": 1 if once else self.limits.attempts},
            user_agent_extra="imdsdash",
        )

    def _session(self, target: Target) -> boto3.Session:
        if not target.role_arn:
            return self._ambient
        if target not in self._sessions:
            core = self._core()
            # botocore has no public way to hand over self-renewing credentials; this is the one its users rely on.
            core._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]  # noqa: SLF001
                refresh_using=self._assume(target), method="sts-assume-role"
            )
            self._sessions[target] = boto3.Session(botocore_session=core)
        return self._sessions[target]

    def _assume(self, target: Target) -> Callable[[], dict[str, str]]:
        """What botocore calls to get, and later renew, the role's credentials."""

        def refresh() -> dict[str, str]:
            client = self._client(Target(account_id=""), "sts", self.home_region)
            asked: dict[str, Any] = {
                "RoleArn": target.role_arn,
                "RoleSessionName": session_name(target.session_name),
                "DurationSeconds": SESSION_SECONDS,
            }
            if target.external_id:
                asked["ExternalId"] = target.external_id
            if target.source_identity:
                asked["SourceIdentity"] = session_name(target.source_identity)
            answer = call(lambda: client.assume_role(**asked), place=target.account_id, operation="AssumeRole")
            given = answer["Credentials"]
            return {
                "access_key": given["AccessKeyId"],
                "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"],
                "expiry_time": given["Expiration"].isoformat(),
            }

        return refresh

    def _core(self) -> botocore.session.Session:
        """A botocore session that shares the read service models, and whose parsers read a number as a time at once.

        Reading the models is nearly the whole cost of a session, and there is one session per account. A
        datapoint's timestamp arrives as epoch seconds, and botocore's own reading of it is nearly the whole cost
        of a GetMetricData answer.
        """
        core = botocore.session.Session()
        core.register_component("data_loader", self._loader)
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
        return core


def timestamp(value: Any) -> datetime:
    """Epoch seconds the short way, everything else as botocore reads it. Always UTC."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return parse_timestamp(value)


def session_name(text: str) -> str:
    """A RoleSessionName or SourceIdentity: 2-64 letters, digits or any of `_+=,.@-` (STS API)."""
    return re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)[:64].ljust(2, "-")


def call(send: Callable[[], Any], *, place: str, operation: str = "") -> Any:
    """Run one botocore call; whatever it raises leaves as an AwsError."""
    name = operation or getattr(send, "__name__", "call").title().replace("_", "")
    try:
        return send()
    except Exception as error:
        raise errors.translate(error, operation=name, place=place) from error
