"""The process's two hands: one that reads AWS and one that writes, with different roles."""

import gc
import os
import socket
import threading
from functools import cache
from pathlib import Path

from django.conf import settings

from migration.aws.pace import Pace
from migration.aws.sessions import Edge, Limits, Target
from migration.models import Account


def limits() -> Limits:
    return Limits(
        connect_timeout=settings.IMDSDASH_AWS_CONNECT_TIMEOUT, read_timeout=settings.IMDSDASH_AWS_READ_TIMEOUT
    )


def pace() -> Pace:
    """How fast each account, Region and API is asked: the share of AWS's limits that is ours."""
    return Pace(share=settings.IMDSDASH_API_SHARE)


def spare_the_collector() -> None:
    """Let Python's garbage collector leave alone what lives as long as the process.

    A page of a thousand instances is half a million objects, none of them in a cycle. At its usual thresholds the
    collector walks the whole heap, Django's and botocore's models included, again and again while one is parsed:
    measured, six times the cost of the parsing itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@cache
def _edge(purpose: str, pid: int) -> Edge:  # noqa: ARG001 -- the key: one per purpose, and none across a fork
    spare_the_collector()
    return Edge(limits=limits(), pace=pace())


def reader() -> Edge:
    return _edge("read", os.getpid())


def writer() -> Edge:
    return _edge("write", os.getpid())


def reader_target(account: Account, *, run: str = "") -> Target:
    """The account's reader role, or the ambient credentials when the account names no role.

    `run`: the sweep; the account's own CloudTrail shows it as the session's name and as its SourceIdentity.
    """
    return _target(account.account_id, account.reader_role_arn, account.external_id, run or "imdsdash-collect")


def user_data_target(account: Account) -> Target:
    """The role that may read user data, beside the reader role; the ambient credentials where there is no role."""
    role = account.reader_role_arn and f"{account.reader_role_arn.partition('/')[0]}/{settings.IMDSDASH_USER_DATA_ROLE}"
    return _target(account.account_id, role, account.external_id, "imdsdash-user-data")


def monitoring_target(*, run: str = "") -> Target:
    """The monitoring account's role, or the ambient credentials when none is set. `run`: as in `reader_target`."""
    account_id, role_arn = settings.IMDSDASH_MONITORING_ACCOUNT, settings.IMDSDASH_MONITORING_ROLE_ARN
    return _target(account_id, role_arn, settings.IMDSDASH_EXTERNAL_ID, run or "imdsdash-collect")


def enforcer_target(account: Account, *, run_id: int, approved_by: str) -> Target:
    """The account's enforcer role; the session's name shows run and approver in the account's own CloudTrail."""
    name = f"imdsdash-run-{run_id}-{approved_by}"
    return _target(account.account_id, account.enforcer_role_arn, account.external_id, name)


def trial_target(account: Account, request_pk: int, by: str) -> Target:
    """The enforcer role, for questions beforehand; the session's name shows the plan and who made it."""
    name = f"imdsdash-plan-{request_pk}-{by}"
    return _target(account.account_id, account.enforcer_role_arn, account.external_id, name)


def _target(account_id: str, role_arn: str, external_id: str, session_name: str) -> Target:
    if not role_arn:
        return Target(account_id=account_id)
    return Target(account_id, role_arn, external_id, session_name, source_identity=session_name)


def me() -> str:
    """Who holds a lease: host, process, thread."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"[:120]


def dead(owner: str) -> bool:
    """True when a lease is held by a process of this very host that no longer exists."""
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    return host == socket.gethostname() and pid.isdigit() and Path("/proc/1").exists() and not _lives(pid)


def _lives(pid: str) -> bool:
    """One that was killed and that nobody has waited for is still listed, and does nothing any more (proc(5), stat)."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told.rpartition(")")[2].split()[0] not in {"Z", "X"}
