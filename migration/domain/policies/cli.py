"""AWS CLI commands, and the exact commands that undo them."""

import shlex

from migration.domain.onboarding import command
from migration.domain.policies.wanted import NO_LIMIT, NO_PREFERENCE, NOTHING, Before, Known, Wanted

INSTANCE_ID = "i-0123456789abcdef0"
OPTIONS = "Reservations[].Instances[].MetadataOptions"


def defaults(wanted: Wanted, known: Known = NOTHING) -> str:
    """For new launches, Region by Region."""
    lines = [
        f"# With credentials of {_account(known, 'each account')}. New launches only.",
        "# The first command of each Region prints what it is: keep that.",
    ]
    for region in wanted.regions or (wanted.region,):
        lines += [
            f"aws ec2 get-instance-metadata-defaults --region {region}",
            _modify_defaults(
                region,
                tokens=wanted.tokens,
                hop_limit=wanted.hop_limit,
                enforced="enabled" if wanted.enforced else None,
            ),
        ]
    return "\n".join((*lines, ""))


def undo_defaults(wanted: Wanted, known: Known = NOTHING) -> str:
    """What was said, back to what was read. A key that AWS leaves out was no preference, and is sent as that: leaving
    it out would keep the new value.
    """
    lines = []
    if not known.account_id:
        lines.append("# What each default was is not known here: choose one account for its own undo.")
        lines.append("# This is for defaults that said nothing.")
    for region in wanted.regions or (wanted.region,):
        before = known.defaults.get(region)
        if known.account_id and before is None:
            lines.append(f"# {region}: what it was is not known here. This is for a default that said nothing.")
        was = before or Before()
        lines.append(
            _modify_defaults(
                region,
                tokens=was.http_tokens or NO_PREFERENCE,
                hop_limit=None if wanted.hop_limit is None else was.hop_limit or NO_LIMIT,
                enforced=(was.enforced or NO_PREFERENCE) if wanted.enforced else None,
            )
        )
    return "\n".join((*lines, ""))


def instance(wanted: Wanted, known: Known = NOTHING) -> str:
    """For an instance that is there. Never with HttpEndpoint, which would open IMDS that is off."""
    look = _look(wanted)
    return "\n".join(
        (
            f"# With credentials of {_account(known, 'its account')}.",
            "# The first command prints what it is: keep that.",
            look,
            _modify(wanted, tokens=wanted.tokens, hop_limit=wanted.hop_limit),
            "# Done when State is applied; on a stopped instance that is after its next start.",
            look,
            "",
        )
    )


def undo_instance(wanted: Wanted, known: Known = NOTHING) -> str:
    """Back to what was read."""
    before = known.instance
    lines = []
    if before is None:
        lines.append("# What it was is not known here. This is for an instance that allowed IMDSv1.")
        if wanted.hop_limit is not None:
            lines.append("# Add its hop limit as the first command printed it.")
    was = before or Before("optional")
    hop_limit = was.hop_limit if wanted.hop_limit is not None else None
    lines.append(_modify(wanted, tokens=was.http_tokens or "optional", hop_limit=hop_limit))
    return "\n".join((*lines, ""))


def _account(known: Known, otherwise: str) -> str:
    return f"account {known.account_id}" if known.account_id else otherwise


def _id(wanted: Wanted) -> str:
    return shlex.quote(wanted.name or INSTANCE_ID)


def _look(wanted: Wanted) -> str:
    return command(
        f"aws ec2 describe-instances --region {wanted.region} --instance-ids {_id(wanted)}", f"--query '{OPTIONS}'"
    )


def _modify(wanted: Wanted, *, tokens: str, hop_limit: int | None) -> str:
    words = [f"--http-tokens {tokens}"]
    if hop_limit is not None:
        words.append(f"--http-put-response-hop-limit {hop_limit}")
    return command(
        "aws ec2 modify-instance-metadata-options",
        f"--region {wanted.region} --instance-id {_id(wanted)}",
        " ".join(words),
    )


def _modify_defaults(region: str, *, tokens: str, hop_limit: int | None, enforced: str | None) -> str:
    words = [f"--http-tokens {tokens}"]
    if hop_limit is not None:
        words.append(f"--http-put-response-hop-limit {hop_limit}")
    if enforced is not None:
        words.append(f"--http-tokens-enforced {enforced}")
    return command(f"aws ec2 modify-instance-metadata-defaults --region {region}", " ".join(words))
