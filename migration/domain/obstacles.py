"""What stands in the way of a quiet instance, or should be known before it is enforced. Pure.

The metric says what called in the window. What it cannot say is kept beside it: a blocker keeps an instance out of a
plan until somebody has looked, a warning travels with it to the approver. Neither makes an instance readier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from migration.domain.readiness import Subject, Window
from migration.enums import LaunchAnswer, Status

HOPS_FOR_CONTAINERS = 2  # one hop more into a container (EC2 User Guide, instance metadata retrieval)
JUDGED = frozenset({Status.READY, Status.SETTLING})
STACK, STACK_OF = "aws:cloudformation:stack-name", "CloudFormation stack"
BEANSTALK = "elasticbeanstalk:environment-name"


@dataclass(frozen=True, slots=True)
class Around:
    """What is known around one instance, besides its options and its metric. Empty is "nothing found"."""

    containers: tuple[str, ...] = ()  # why containers are expected on it, in words
    hops_needed: int = HOPS_FOR_CONTAINERS  # 3 where an overlay network is hinted at
    hop_limit_choice: int | None = None  # chosen for its workload: what a plan sets beside HttpTokens
    certain_calls: tuple[str, ...] = ()  # where its user data calls IMDSv1: "line 12"
    uncertain_calls: tuple[str, ...] = ()  # where it may
    v1_credentials_at: datetime | None = None  # CloudTrail or the packet analyzer last saw IMDSv1 used
    v1_credentials_by: str = ""  # ... by this user agent
    source: str = ""  # what launches its successors: "Auto Scaling group web"
    source_answer: LaunchAnswer | None = None  # and what they would get; None: nothing launches them, or not read
    in_group: bool = False  # an Auto Scaling group will replace it by itself
    enforced_region: bool = False  # HttpTokensEnforced: what is required once cannot be made optional again


@dataclass(frozen=True, slots=True)
class Obstacles:
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def obstacles(
    subject: Subject, around: Around, window: Window, *, status: Status, tags: Mapping[str, str]
) -> Obstacles:
    """Blockers and warnings of an instance with this status, the gravest first."""
    if status in JUDGED:
        return Obstacles(
            blockers=(*_called(around, window), *_hop_blocks(subject, around)),
            warnings=(
                *_hop_raised(subject, around),
                *_boot(subject, window),
                *_maybe(around),
                *_successors(around),
                *_owner(tags),
                *_no_way_back(around),
            ),
        )
    if status is Status.IN_USE:
        return Obstacles(warnings=_hop_explains(subject, around))
    if status in {Status.ENFORCED, Status.PENDING}:
        return Obstacles(warnings=_successors(around))
    return Obstacles()


def needs_hops(subject: Subject, around: Around) -> bool:
    """Containers on it, and the answer to the token request does not reach them."""
    limit = subject.options.http_put_response_hop_limit
    return bool(around.containers) and limit is not None and limit < around.hops_needed


def _called(around: Around, window: Window) -> tuple[str, ...]:
    found = []
    if around.v1_credentials_at is not None and _within(around.v1_credentials_at, window):
        by = f" by {around.v1_credentials_by}" if around.v1_credentials_by else ""
        found.append(
            f"IMDSv1, or credentials it delivered, were seen in use on {around.v1_credentials_at:%Y-%m-%d}{by}."
        )
    if around.certain_calls:
        found.append(f"Its user data calls IMDSv1 ({_places(around.certain_calls)}).")
    return tuple(found)


def _within(at: datetime, window: Window) -> bool:
    return not window.dates or at.astimezone(UTC).date() >= window.dates[0]


def _hop_blocks(subject: Subject, around: Around) -> tuple[str, ...]:
    if not needs_hops(subject, around) or (around.hop_limit_choice or 0) >= around.hops_needed:
        return ()
    return (f"{_hop(subject, around)} Raise it to {_hops(around)}, then measure again.",)


def _hop_raised(subject: Subject, around: Around) -> tuple[str, ...]:
    choice = around.hop_limit_choice
    if not needs_hops(subject, around) or choice is None or choice < around.hops_needed:
        return ()
    return (f"{_hop(subject, around)} The plan raises it to {choice}, as chosen for its workload.",)


def _hop_explains(subject: Subject, around: Around) -> tuple[str, ...]:
    if not needs_hops(subject, around):
        return ()
    return (
        (
            f"{_hop(subject, around)} A modern SDK falls back to IMDSv1 then, so these calls need not be old software: "
            f"raise it to {_hops(around)} and measure again."
        ),
    )


def _hop(subject: Subject, around: Around) -> str:
    limit = subject.options.http_put_response_hop_limit
    return f"Hop limit {limit} with containers ({around.containers[0]}): the token does not reach them."


def _hops(around: Around) -> str:
    return f"{around.hops_needed}" if around.hops_needed > HOPS_FOR_CONTAINERS else "2 (3 with an overlay network)"


def _boot(subject: Subject, window: Window) -> tuple[str, ...]:
    """Was it booted in the window, where old software at boot would have shown?"""
    if subject.instance_state == "stopped":
        return ("It is stopped: AWS applies the change when it next starts.",)
    if not window.dates or subject.last_started_at is None:
        return ()
    started = subject.last_started_at
    if started.astimezone(UTC).date() >= window.dates[0]:
        return ()
    return (f"Not booted since {started:%Y-%m-%d}: software that calls IMDSv1 only at boot would not show.",)


def _maybe(around: Around) -> tuple[str, ...]:
    if not around.uncertain_calls:
        return ()
    return (f"Its user data may call IMDSv1 ({_places(around.uncertain_calls)}): look before you enforce.",)


def _places(places: tuple[str, ...]) -> str:
    more = f" and {len(places) - 2} more" if len(places) > 2 else ""  # noqa: PLR2004
    return ", ".join(places[:2]) + more


def _successors(around: Around) -> tuple[str, ...]:
    """Its successors: a safe instance of an unsafe group is gone with the next replacement."""
    told = around.source
    if around.source_answer is None or not told:
        return ()
    when = "replaces it" if around.in_group else "launches the next one"
    if around.source_answer == LaunchAnswer.V1_ALLOWED:
        return (f"Will come back: {told} still launches with IMDSv1 allowed, and this is lost when it {when}.",)
    if around.source_answer == LaunchAnswer.FAILS and around.in_group:
        return (f"{told} cannot launch while the Region enforces tokens: its next replacement fails.",)
    if around.source_answer == LaunchAnswer.UNKNOWN:
        return (f"What {told} launches next is not known.",)
    return ()


def _owner(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Who may put it back: infrastructure as code that does not know of the change."""
    if tags.get(BEANSTALK):
        return (f"Elastic Beanstalk environment {tags[BEANSTALK]} made it: set DisableIMDSv1 there too.",)
    if tags.get(STACK):
        return (f"{STACK_OF} {tags[STACK]} made it: change it there too, or its next update may undo this.",)
    if any(key.lower().startswith("terraform") or value.lower() == "terraform" for key, value in tags.items()):
        return ("Terraform made it: change it there too, or its next apply may undo this.",)
    return ()


def _no_way_back(around: Around) -> tuple[str, ...]:
    if not around.enforced_region:
        return ()
    return ("Cannot be rolled back by itself: the Region enforces tokens (HttpTokensEnforced), which must go first.",)
