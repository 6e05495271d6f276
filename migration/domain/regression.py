"""Is something that was won lost again? Pure: what was stored before a pass, and what the pass found."""

from datetime import datetime

from migration.domain.readiness import Subject
from migration.enums import RegressionKind, Status


def of_instance(
    *, before: Status | None, after: Status, subject: Subject, known_since: datetime | None, place_was_done: bool
) -> RegressionKind | None:
    """How an instance fell back, or None.

    `before`: its status until now; None when this pass sees it for the first time. `known_since`: the last inventory
    before this pass; None: there was none, so nothing is new. `place_was_done`: its workload or its Region allowed
    IMDSv1 nowhere, or the Region's default says required, so that a launch that allows it is a loss.
    """
    if before is None:
        born = subject.first_launched_at
        new = known_since is not None and born is not None and born > known_since
        return RegressionKind.NEW_LAUNCH if new and place_was_done and allows_v1(subject) else None
    if after is Status.REGRESSED and before is not Status.REGRESSED:
        return RegressionKind.OPTIONAL_AGAIN
    if before is Status.READY and after is Status.IN_USE:
        return RegressionKind.V1_AFTER_READY
    return None


def allows_v1(subject: Subject) -> bool:
    """Does it answer IMDSv1? What AWS did not say counts as yes."""
    options = subject.options
    return (
        options.http_tokens != "required"
        and options.http_endpoint != "disabled"
        and not subject.operator_managed
        and subject.instance_state != "terminated"
    )


def of_defaults(*, tokens: tuple[str | None, str | None], enforced: tuple[str | None, str | None]) -> list[str]:
    """Which launch defaults of a Region were taken back, as AWS spells them. Each pair: before, after."""
    found = []
    if tokens[0] == "required" and tokens[1] != "required":
        found.append("HttpTokens")
    if enforced[0] == "enabled" and enforced[1] != "enabled":
        found.append("HttpTokensEnforced")
    return found
