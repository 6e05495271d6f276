"""What a role may do: a reader cannot write, an enforcer can write the rungs; an account may deny more."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from sandbox.errors import AwsError

if TYPE_CHECKING:
    from sandbox.calls import Principal
    from sandbox.protocol import Request
    from sandbox.world import Account

KINDS: Final = ("reader", "enforcer", "user-data", "admin")

_ALLOWED: Final = {
    "reader": ("*:Describe*", "*:Get*", "*:List*", "*:Lookup*"),
    "enforcer": (
        "ec2:ModifyInstanceMetadataOptions", "ec2:ModifyInstanceMetadataDefaults", "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus", "ec2:GetInstanceMetadataDefaults", "ec2:DescribeRegions",
        "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate", "ec2:DescribeLaunchTemplateVersions",
        "ec2:ModifyImageAttribute", "autoscaling:UpdateAutoScalingGroup", "autoscaling:DescribeAutoScalingGroups",
        "ec2:RunInstances",
    ),
    "user-data": ("ec2:DescribeInstanceAttribute",),
    "admin": ("*",),
    "user": ("*",),
}  # fmt: skip


def check(account: Account, principal: Principal, request: Request) -> None:
    """Refuse what the role or the account does not allow. GetCallerIdentity needs no permission."""
    action = f"{request.service}:{request.operation}"
    if action == "sts:GetCallerIdentity":
        return
    if not may(account, principal, action, request.region):
        raise denied(request, principal.arn)


def may(account: Account, principal: Principal, action: str, region: str) -> bool:
    """Whether the role allows the action and the account does not deny it."""
    allowed = any(fnmatchcase(action, pattern) for pattern in _ALLOWED[principal.kind])
    if principal.kind == "reader" and action == "ec2:DescribeInstanceAttribute":
        allowed = False  # people keep secrets in user data
    return allowed and not any(_denies(rule, action, region) for rule in account.deny)


def _denies(rule: str, action: str, region: str) -> bool:
    pattern, _, where = rule.partition("@")
    return fnmatchcase(action, pattern) and (not where or where == region)


def denied(request: Request, arn: str) -> AwsError:
    """The refusal in the words of the protocol."""
    action = f"{request.service}:{request.operation}"
    if request.protocol == "ec2":
        return AwsError(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User: {arn} is not authorized to perform: {action} "
            "because no identity-based policy allows the action",
            403,
        )
    code = "AccessDenied" if request.protocol == "query" else "AccessDeniedException"
    status = 403 if request.protocol == "query" else 400
    return AwsError(code, f"User: {arn} is not authorized to perform: {action}", status)
