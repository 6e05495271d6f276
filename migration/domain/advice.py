"""The next step for one instance, in one sentence. Pure."""

from collections.abc import Sequence

from migration.enums import Status

STEPS = {
    Status.GONE: "Nothing: it is gone. What launched it may launch the next one with IMDSv1 allowed.",
    Status.MANAGED: "Nothing here: ask the AWS service that runs it.",
    Status.IMDS_OFF: "Nothing: no version of IMDS answers. Never send HttpEndpoint with a change: it would open it.",
    Status.ENFORCED: "Watch its rejected calls: credentials fetched before last some hours, so breakage shows late.",
    Status.PENDING: "Start it once: AWS applies the change then.",
    Status.WAIVED: "Mend what the waiver is for before it ends.",
    Status.REGRESSED: "Find out who put it back (the history below says when), then enforce it again.",
    Status.IN_USE: "Find what calls IMDSv1 and upgrade it; the hours below say when it calls.",
    Status.SETTLING: "Wait until it has been measured for the whole window.",
    Status.READY: "Plan its enforcement on the account's page.",
}


def next_step(*, status: Status, reason: str, blockers: Sequence[str], stopped: bool) -> str:
    """What helps most now."""
    if status is Status.READY and blockers:
        return f"Clear what stands in the way: {blockers[0]}"
    if status is Status.UNKNOWN:
        if stopped:
            return "Start it and let it run: only a measured run shows what it calls."
        return f"Close the gap in its measurement: {reason}"
    return STEPS[status]
