"""AssumeRole with ExternalId really checked, and GetCallerIdentity."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from sandbox import credentials, ids
from sandbox.calls import Call, Principal, operation
from sandbox.errors import AwsError
from sandbox.protocol import iso

if TYPE_CHECKING:
    from sandbox.world import Role

_ROLE_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[\w-]*):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[\w+=,.@-]+)$"
)
_SESSION_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}$")
_SHORTEST, _LONGEST, _LONGEST_CHAINED = 900, 43_200, 3_600


@operation("sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> dict[str, Any]:
    """Needs no permission."""
    principal = call.principal
    account_id = call.effects.account_id or principal.account_id
    arn = principal.arn.replace(principal.account_id, account_id)
    return {"UserId": principal.user_id, "Account": account_id, "Arn": arn}


@operation("sts", "AssumeRole")
def assume_role(call: Call) -> dict[str, Any]:
    """Temporary credentials of a role that exists, trusts the caller, and knows the ExternalId."""
    arn = call.params.get("RoleArn", "")
    session_name = call.params.get("RoleSessionName", "")
    expires_at = call.now + _duration(call)
    found = _ROLE_ARN.match(arn)
    if not found:
        raise AwsError("ValidationError", f"{arn} is invalid")
    _check_name("roleSessionName", session_name)
    role = _trusted_role(call, found["account"], found["name"])
    if role is None or found["partition"] != call.world.partition:
        raise _not_authorized(call, "sts:AssumeRole", arn)
    principal = Principal(
        account_id=found["account"],
        arn=f"arn:{call.world.partition}:sts::{found['account']}:assumed-role/{role.name}/{session_name}",
        user_id=f"AROA{ids.digest(arn)[:17].upper()}:{session_name}",
        kind=role.kind,
        role_name=role.name,
        session_name=session_name,
        source_identity=_source_identity(call, role, arn),
        external_id=call.params.get("ExternalId"),
        expires_at=math.ceil(expires_at),  # told in whole seconds, and it must be told truly
    )
    issued = credentials.issue(call.world, principal)
    issued["Expiration"] = iso(issued["Expiration"])
    return {
        "Credentials": issued,
        "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
        "SourceIdentity": principal.source_identity,
    }


def _duration(call: Call) -> float:
    """Seconds that the session lives: as asked, checked, unless the fleet file says."""
    seconds = int(call.params.get("DurationSeconds") or _LONGEST_CHAINED)
    if not _SHORTEST <= seconds <= _LONGEST:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' must be 900 to 43200",
        )
    if call.principal.role_name and seconds > _LONGEST_CHAINED:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        )
    return call.world.settings.session_seconds or seconds


def _check_name(parameter: str, value: str) -> None:
    if not _SESSION_NAME.match(value):
        raise AwsError("ValidationError", f"1 validation error detected: Value '{value}' at '{parameter}' is invalid")


def _not_authorized(call: Call, action: str, arn: str) -> AwsError:
    message = f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {arn}"
    return AwsError("AccessDenied", message, 403)


def _source_identity(call: Call, role: Role, arn: str) -> str | None:
    """What a chain began with, which no later role may change, else what the call sets; the role must let it be set."""
    begun, given = call.principal.source_identity, call.params.get("SourceIdentity")
    if given is not None:
        _check_name("sourceIdentity", given)
    identity = begun or given
    if identity and (not role.source_identity or given not in {None, identity}):
        raise _not_authorized(call, "sts:SetSourceIdentity", arn)
    return identity


def _trusted_role(call: Call, account_id: str, name: str) -> Role | None:
    account = call.world.accounts.get(account_id)
    closed = account is None or account.deny_assume or account.state in {"SUSPENDED", "CLOSED"}
    role = None if account is None or closed else account.roles.get(name)
    if role is None or call.principal.account_id not in role.trusted:
        return None
    if role.external_id is not None and role.external_id != call.params.get("ExternalId"):
        return None
    return role
