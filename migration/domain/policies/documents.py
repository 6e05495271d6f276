"""Policies as JSON: the organization's declarative policy, and statements that deny."""

import json
from typing import Any

from migration.domain.policies.wanted import Attach, Wanted

DECLARATIVE_LIMIT = 10_000  # characters of a declarative policy (AWS Organizations quotas)
SCP_LIMIT = 5_120  # characters of a service control policy, blanks included unless the console saves it
IAM_LIMIT = 6_144  # characters of a managed policy; blanks are not counted (IAM quotas)
EXCEPTION = "The organization sets the instance metadata defaults of this account. Ask its owners for a change."
Statement = dict[str, Any]


def declarative(wanted: Wanted) -> str:
    """DECLARATIVE_POLICY_EC2. It spells no_preference with an underscore, and numbers as strings."""
    said = {"http_tokens": wanted.tokens.replace("-", "_")}
    if wanted.hop_limit is not None:
        said["http_put_response_hop_limit"] = str(wanted.hop_limit)
    if wanted.enforced:
        said["http_tokens_enforced"] = "enabled"
    return _json(
        {
            "ec2_attributes": {
                "exception_message": {"@@assign": EXCEPTION},
                "instance_metadata_defaults": {name: {"@@assign": value} for name, value in said.items()},
            }
        }
    )


def deny_launch(wanted: Wanted) -> str:
    """RunInstances alone: other actions know ec2:MetadataHttpTokens too, and StartInstances under it would keep
    stopped instances that allow IMDSv1 from ever starting again. A launch that leaves the tokens out is denied as well.
    """
    exempt = {} if wanted.exempt_tag is None else {f"aws:RequestTag/{wanted.exempt_tag[0]}": wanted.exempt_tag[1]}
    here = {"Action": "ec2:RunInstances", "Resource": _instances(wanted)}
    statements = [
        _deny(
            "LaunchWithTokensRequired",
            here,
            {"StringNotEquals": {"ec2:MetadataHttpTokens": "required"} | exempt},
            wanted,
        )
    ]
    if wanted.hop_limit is not None:
        condition: Statement = {"NumericGreaterThan": {"ec2:MetadataHttpPutResponseHopLimit": str(wanted.hop_limit)}}
        if exempt:
            condition["StringNotEquals"] = exempt
        statements.append(_deny("LaunchWithinTheHopLimit", here, condition, wanted))
    return _policy(statements, wanted.attach)


def deny_opt_out(wanted: Wanted) -> str:
    """No way back to IMDSv1. `Null: false` lets calls through that say nothing of the tokens, such as a hop limit's."""
    exempt = {} if wanted.exempt_tag is None else {f"aws:ResourceTag/{wanted.exempt_tag[0]}": wanted.exempt_tag[1]}
    default = {"Action": "ec2:ModifyInstanceMetadataDefaults", "Resource": "*"}
    statements = [
        _deny(
            "KeepTokensRequired",
            {"Action": "ec2:ModifyInstanceMetadataOptions", "Resource": _instances(wanted)},
            _unless("ec2:Attribute/HttpTokens", "required", exempt),
            wanted,
        ),
        _deny("KeepTheDefault", default, _unless("ec2:Attribute/HttpTokens", "required", {}), wanted),
    ]
    if wanted.enforced:
        enforcement = _unless("ec2:Attribute/HttpTokensEnforced", "enabled", {})
        statements.append(_deny("KeepTheEnforcement", default, enforcement, wanted))
    return _policy(statements, wanted.attach)


def deny_v1_credentials(wanted: Wanted) -> str:
    """Calls that are not signed with an instance's credentials do not carry the key, and pass."""
    condition: Statement = {"NumericLessThan": {"ec2:RoleDelivery": "2.0"}}
    if wanted.exempt_tag is not None:
        condition["StringNotEquals"] = {f"aws:PrincipalTag/{wanted.exempt_tag[0]}": wanted.exempt_tag[1]}
    return _policy(
        [_deny("UseCredentialsOfIMDSv2", {"Action": "*", "Resource": "*"}, condition, wanted)], wanted.attach
    )


def _instances(wanted: Wanted) -> str:
    return f"arn:{wanted.partition}:ec2:*:*:instance/*"


def _unless(key: str, value: str, exempt: dict[str, str]) -> Statement:
    """The key is in the call, and its value is another one."""
    return {"StringNotEquals": {key: value} | exempt, "Null": {key: "false"}}


def _deny(sid: str, what: Statement, condition: Statement, wanted: Wanted) -> Statement:
    condition = dict(condition)
    if wanted.regions:
        condition["StringEquals"] = {"aws:RequestedRegion": list(wanted.regions)}
    if wanted.role:
        condition["ArnNotLike"] = {"aws:PrincipalArn": f"arn:{wanted.partition}:iam::*:role/{wanted.role}"}
    return {"Sid": sid, "Effect": "Deny", **what, "Condition": condition}


def _policy(statements: list[Statement], attach: Attach) -> str:
    """Raises ValueError with a sentence when it is longer than AWS takes."""
    document = {"Version": "2012-10-17", "Statement": statements}
    text, limit = _json(document), SCP_LIMIT if attach is Attach.SCP else IAM_LIMIT
    if len(text) > limit:
        text = json.dumps(document, separators=(",", ":")) + "\n"
    if len(text) > limit:
        raise ValueError(f"That makes {len(text):,} characters, and AWS takes {limit:,}. Name fewer Regions.")
    return text


def _json(document: Statement) -> str:
    return json.dumps(document, indent=2) + "\n"
