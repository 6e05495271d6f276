"""Where a workload or an account stands, what that rests on, and what to do next. Pure: counts in, words out.

One word each, and the worst that is true decides: an account with one instance in use is in use. What is enforced
and would come back with the next launch is no success, so it has a word of its own.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from migration.domain.words import some
from migration.enums import LaunchAnswer, Standing, Status

S = Status
LEFT_ALLOWING = (S.WAIVED, S.REGRESSED, S.IN_USE, S.UNKNOWN, S.SETTLING, S.READY)  # what still allows IMDSv1


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to judge by."""

    by_status: Mapping[str, int]  # living and gone instances by status, as stored
    window_days: int
    blocked: int = 0  # of the ready ones, those with a blocker
    seen: int = 0  # of those that allow IMDSv1, measured for the whole window
    dead_calling: int = 0  # gone in the window, and called IMDSv1 in it
    dead_calls: int = 0
    readable: bool = True
    launches: Mapping[str, int] = field(default_factory=dict)  # LaunchAnswer -> launch sources
    launches_read: bool = False  # were the launch sources ever read whole?
    common_blocker: str = ""  # the commonest, in words
    v1_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Stand:
    standing: Standing
    reason: str
    coverage: str  # "412 of 430 instances that allow IMDSv1 were measured for 14 days", or ""
    next_step: str


def stand(facts: Facts) -> Stand:
    """The word, the sentence and the next best step."""
    count = Counter({Status(name): number for name, number in facts.by_status.items()})
    standing = _standing(facts, count)
    return Stand(
        standing=standing,
        reason=_reason(standing, facts, count),
        coverage=_coverage(facts, count),
        next_step=next_step(facts, count),
    )


def _standing(facts: Facts, count: Counter[Status]) -> Standing:
    ours = sum(number for status, number in count.items() if status not in {S.GONE, S.MANAGED})
    if not facts.readable:
        return Standing.UNREADABLE
    if not ours:
        return Standing.IN_USE if facts.dead_calling else Standing.EMPTY
    ladder = (
        (count[S.REGRESSED], Standing.REGRESSED),
        (count[S.IN_USE] or facts.dead_calling, Standing.IN_USE),
        (count[S.UNKNOWN], Standing.UNKNOWN),
        (count[S.SETTLING], Standing.SETTLING),
        (count[S.READY] and facts.blocked == count[S.READY], Standing.BLOCKED),
        (count[S.READY], Standing.READY),
        (count[S.PENDING], Standing.PENDING),
        (count[S.WAIVED], Standing.WAIVED),
        (facts.launches.get(LaunchAnswer.V1_ALLOWED), Standing.COMES_BACK),
        (not facts.launches_read or facts.launches.get(LaunchAnswer.UNKNOWN), Standing.UNSURE),
    )
    return next((word for true, word in ladder if true), Standing.DONE)


def _reason(standing: Standing, facts: Facts, count: Counter[Status]) -> str:
    done = count[S.ENFORCED] + count[S.IMDS_OFF]
    allowing = sum(count[status] for status in LEFT_ALLOWING)
    words = {
        Standing.UNREADABLE: "Cannot be read now, so nothing here is known to be safe.",
        Standing.EMPTY: "No instance of ours has been seen.",
        Standing.REGRESSED: f"{some(count[S.REGRESSED], 'instance')} that was required allows IMDSv1 again.",
        Standing.IN_USE: _in_use(facts, count),
        Standing.UNKNOWN: f"Of {some(allowing, 'instance')} that may call IMDSv1, {count[S.UNKNOWN]:,} are not known.",
        Standing.SETTLING: f"Quiet so far; {some(count[S.SETTLING], 'instance')} not measured for long enough.",
        Standing.BLOCKED: f"Quiet, and something stands in the way of {some(facts.blocked, 'instance')}.",
        Standing.READY: f"{some(count[S.READY] - facts.blocked, 'instance')} can be enforced now.",
        Standing.PENDING: f"{some(count[S.PENDING], 'instance')} required, which AWS applies at their next start.",
        Standing.WAIVED: f"All that is left is waived: {some(count[S.WAIVED], 'instance')}.",
        Standing.COMES_BACK: (
            f"{some(done, 'instance')} done, and "
            f"{some(facts.launches.get(LaunchAnswer.V1_ALLOWED, 0), 'launch source')} "
            "would bring IMDSv1 back with the next launch."
        ),
        Standing.UNSURE: f"{some(done, 'instance')} done; what would be launched next is not known.",
        Standing.DONE: f"{some(done, 'instance')} done, and what is launched next is safe too.",
    }
    return words[standing]


def _in_use(facts: Facts, count: Counter[Status]) -> str:
    parts = []
    if count[S.IN_USE]:
        verb = "calls" if count[S.IN_USE] == 1 else "call"
        parts.append(f"{some(count[S.IN_USE], 'instance')} {verb} IMDSv1")
    if facts.dead_calling:
        parts.append(
            f"{some(facts.dead_calling, 'instance')} that came and went did ({some(facts.dead_calls, 'call')})"
        )
    return ", and ".join(parts) + f" in the last {facts.window_days} days."


def _coverage(facts: Facts, count: Counter[Status]) -> str:
    allowing = sum(count[status] for status in LEFT_ALLOWING)
    if not allowing:
        return ""
    verb = "allows" if allowing == 1 else "allow"
    return f"{facts.seen:,} of {some(allowing, 'instance')} that {verb} IMDSv1 measured for {facts.window_days} days"


def next_step(facts: Facts, count: Counter[Status]) -> str:
    """The one thing to do now that helps most: what is urgent first, then what is ready, then what is missing."""
    free = count[S.READY] - facts.blocked
    launches = facts.launches
    bad = launches.get(LaunchAnswer.V1_ALLOWED, 0)
    ladder = (
        (not facts.readable, "Mend the reader role, so that it can be read."),
        (count[S.REGRESSED], f"Find out what put {some(count[S.REGRESSED], 'instance')} back, then enforce again."),
        (free > 0, f"Plan the enforcement of {some(free, 'ready instance')}."),
        (facts.blocked, f"Clear what blocks {some(facts.blocked, 'instance')}: {facts.common_blocker}"),
        (count[S.IN_USE], f"Find and upgrade what calls IMDSv1 on {some(count[S.IN_USE], 'instance')}."),
        (facts.dead_calling, "Upgrade what the short-lived instances run: their image or launch template."),
        (count[S.UNKNOWN], f"Close the gaps in the measurement of {some(count[S.UNKNOWN], 'instance')}."),
        (count[S.SETTLING], "Wait: it is quiet, and not measured for long enough yet."),
        (bad, f"Make {some(bad, 'launch source')} require tokens, or IMDSv1 comes back."),
        (count[S.PENDING], f"Start {some(count[S.PENDING], 'stopped instance')} once, so that AWS applies it."),
        (
            launches.get(LaunchAnswer.UNKNOWN),
            f"Find out what {some(launches.get(LaunchAnswer.UNKNOWN, 0), 'launch source')} launches.",
        ),
        (count[S.WAIVED], f"End the waivers of {some(count[S.WAIVED], 'instance')} when their time comes."),
    )
    return next((words for true, words in ladder if true), "Nothing: watch that it stays so.")
