"""How numbers, moments and statuses look on every page."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.template.context import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from migration import charts
from migration.domain import failures
from migration.domain.words import inner, some
from migration.enums import (
    ChangeState,
    LaunchAnswer,
    Outcome,
    PolicyState,
    RequestState,
    RoleState,
    RunState,
    Standing,
    Status,
    WaiverState,
    WaveState,
)
from migration.queries.collection import Heaps
from migration.queries.progress import Mix
from migration.queries.runs import Progress

register = template.Library()
DASH = charts.DASH
MINUS = "\u2212"
ICONS: Mapping[str, str] = {
    Status.ENFORCED: "shield-lock-fill",
    Status.IMDS_OFF: "slash-circle",
    Status.PENDING: "hourglass-split",
    Status.READY: "check-circle-fill",
    Status.SETTLING: "stopwatch",
    Status.WAIVED: "pause-circle-fill",
    Status.IN_USE: "lightning-charge-fill",
    Status.REGRESSED: "arrow-counterclockwise",
    Status.UNKNOWN: "question-circle-fill",
    Status.MANAGED: "gear-fill",
    Status.GONE: "x-circle-fill",
}
LAUNCHES: Mapping[LaunchAnswer, tuple[str, str]] = {
    LaunchAnswer.SAFE: ("good", "shield-lock-fill"),
    LaunchAnswer.V1_ALLOWED: ("warn", "exclamation-triangle-fill"),
    LaunchAnswer.FAILS: ("bad", "x-circle-fill"),
    LaunchAnswer.UNKNOWN: ("neutral", "question-circle-fill"),
}
# (tone, icon) of the states of requests, runs, changes, passes and roles.
STATES: Mapping[type, Mapping[str, tuple[str, str]]] = {
    RequestState: {
        RequestState.DRAFT: ("neutral", "file-earmark-text"),
        RequestState.REQUESTED: ("busy", "hourglass-split"),
        RequestState.APPROVED: ("good", "check-circle-fill"),
        RequestState.REJECTED: ("bad", "x-circle-fill"),
        RequestState.WITHDRAWN: ("neutral", "slash-circle"),
        RequestState.EXPIRED: ("neutral", "clock-history"),
    },
    WaiverState: {
        WaiverState.REQUESTED: ("busy", "hourglass-split"),
        WaiverState.ACTIVE: ("warn", "pause-circle-fill"),
        WaiverState.REJECTED: ("bad", "x-circle-fill"),
        WaiverState.WITHDRAWN: ("neutral", "slash-circle"),
        WaiverState.EXPIRED: ("neutral", "clock-history"),
        WaiverState.ENDED: ("neutral", "check-circle-fill"),
    },
    PolicyState: {
        PolicyState.PROPOSED: ("busy", "hourglass-split"),
        PolicyState.ACTIVE: ("good", "check-circle-fill"),
        PolicyState.REJECTED: ("bad", "x-circle-fill"),
        PolicyState.WITHDRAWN: ("neutral", "slash-circle"),
        PolicyState.REPLACED: ("neutral", "clock-history"),
    },
    WaveState: {
        WaveState.DRAFT: ("neutral", "file-earmark-text"),
        WaveState.ACTIVE: ("busy", "play-circle-fill"),
        WaveState.CLOSED: ("good", "check-circle-fill"),
    },
    RunState: {
        RunState.QUEUED: ("busy", "hourglass-split"),
        RunState.RUNNING: ("busy", "play-circle-fill"),
        RunState.PAUSED: ("warn", "pause-circle-fill"),
        RunState.STOPPED: ("neutral", "sign-stop-fill"),
        RunState.DONE: ("good", "check-circle-fill"),
        RunState.FAILED: ("bad", "exclamation-octagon-fill"),
    },
    ChangeState: {
        ChangeState.PENDING: ("neutral", "hourglass-split"),
        ChangeState.LEASED: ("busy", "search"),
        ChangeState.CALLING: ("busy", "arrow-right"),
        ChangeState.APPLIED: ("busy", "hourglass-split"),
        ChangeState.UNKNOWN: ("warn", "question-circle-fill"),
        ChangeState.VERIFIED: ("good", "check-circle-fill"),
        ChangeState.SKIPPED: ("neutral", "slash-circle"),
        ChangeState.FAILED: ("bad", "x-circle-fill"),
    },
    Outcome: {
        Outcome.NEVER: ("neutral", "hourglass-split"),
        Outcome.COMPLETE: ("good", "check-circle-fill"),
        Outcome.INCOMPLETE: ("warn", "exclamation-triangle-fill"),
        Outcome.DENIED: ("bad", "x-circle-fill"),
    },
    RoleState: {
        RoleState.UNTESTED: ("neutral", "hourglass-split"),
        RoleState.OK: ("good", "check-circle-fill"),
        RoleState.DENIED: ("bad", "x-circle-fill"),
        RoleState.WRONG_ACCOUNT: ("bad", "exclamation-octagon-fill"),
        RoleState.UNREACHABLE: ("warn", "exclamation-triangle-fill"),
    },
}
STANDINGS: Mapping[str, tuple[str, str]] = {
    Standing.UNREADABLE: ("warn", "question-circle-fill"),
    Standing.EMPTY: ("neutral", "slash-circle"),
    Standing.REGRESSED: ("bad", "arrow-counterclockwise"),
    Standing.IN_USE: ("bad", "lightning-charge-fill"),
    Standing.UNKNOWN: ("warn", "question-circle-fill"),
    Standing.SETTLING: ("busy", "stopwatch"),
    Standing.BLOCKED: ("warn", "sign-stop-fill"),
    Standing.READY: ("good", "check-circle-fill"),
    Standing.PENDING: ("busy", "hourglass-split"),
    Standing.WAIVED: ("neutral", "pause-circle-fill"),
    Standing.COMES_BACK: ("warn", "arrow-counterclockwise"),
    Standing.UNSURE: ("warn", "question-circle-fill"),
    Standing.DONE: ("good", "shield-lock-fill"),
}
MINUTE, HOUR, DAY = 60, 3600, 86400


@register.filter
def num(value: float | None) -> str:
    """1234567 -> 1,234,567; what is not known is a dash, never 0."""
    return DASH if value is None else f"{value:,.0f}"


@register.filter
def measured(value: int | None) -> str:
    """A count that may not be known, in words."""
    return "not measured" if value is None else f"{value:,}"


@register.filter
def percent(share: float | None) -> str:
    """Cut, not rounded: 99.96 % is never shown as 100, and something is never shown as nothing."""
    if share is None:
        return DASH
    if 0 < share < 0.001:  # noqa: PLR2004
        return "<0.1 %"
    return f"{int(share * 1000 + 1e-9) / 10:g} %"


@register.filter
def change(share: float | None) -> str:
    """-0.25 -> -25 %, with a real minus."""
    if share is None:
        return DASH
    return f"{MINUS if share < 0 else '+'}{abs(share):.0%}".replace("%", " %")


@register.filter
def dollars(value: float | None) -> str:
    """3.024 -> $3.02; what costs something is never shown as nothing."""
    if value is None:
        return DASH
    return "<$0.01" if 0 < value < 0.01 else f"${value:,.2f}"  # noqa: PLR2004


@register.filter
def hours(value: float) -> str:
    """0.25 -> 15 min, 6.0 -> 6 h"""
    return f"{value:g} h" if value >= 1 else f"{value * 60:g} min"


@register.filter
def lower_first(text: str) -> str:
    """A title in the middle of a sentence."""
    return inner(text)


@register.filter
def advice(error_class: str) -> str:
    """What to do about a change that failed."""
    return failures.advice(error_class)


@register.filter
def duration(seconds: int) -> str:
    """As a person says it: under 1 s, 40 s, 12 min, 3 h 20 min."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds} s"
    minutes = round(seconds / 60)
    whole, rest = divmod(minutes, 60)
    return " ".join(filter(None, (f"{whole} h" if whole else "", f"{rest} min" if rest or not whole else "")))


@register.filter
def plural(count: int, noun: str) -> str:
    return some(count, noun)


@register.filter
def account_number(value: str) -> str:
    """123456789012 -> 1234 5678 9012, as the AWS console writes it (with narrow no-break spaces)."""
    return "\u202f".join((value[:4], value[4:8], value[8:]))


@register.filter
def of(told: Mapping[str, str], name: str) -> str:
    """The word for a name that has a space in it."""
    return told.get(name, DASH)


@register.filter
def last_level(ou_path: str) -> str:
    return ou_path.rsplit("/", 1)[-1] or DASH


def _ago(seconds: float) -> str:
    future, seconds = seconds < 0, abs(seconds)
    if seconds < MINUTE:
        return "in a moment" if future else "just now"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            words = f"{int(seconds // size)} {unit}"
            return f"in {words}" if future else f"{words} ago"
    raise AssertionError


@register.simple_tag(takes_context=True)
def ago(context: Context, moment: datetime | None) -> SafeString | str:
    """A moment in words, with the moment itself in UTC behind it."""
    if moment is None:
        return "never"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{moment:%Y-%m-%d %H:%M} UTC",
        _ago((context["now"] - moment).total_seconds()),
    )


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    if value is None:
        return DASH
    return format_html(
        '<time datetime="{}">{}</time>', value.isoformat(timespec="seconds"), f"{value:%Y-%m-%d %H:%M} UTC"
    )


@register.inclusion_tag("components/icon.html")
def icon(name: str, size: str = "") -> dict[str, str]:
    return {"name": name, "size": size}


@register.inclusion_tag("components/status.html")
def status(value: str, label: str = "") -> dict[str, str]:
    """Colour, icon and word of an instance's status; a word we do not know is shown as it is, or by its `label`."""
    known = Status(value) if value in Status.values else None
    return {
        "tone": known or "unknown",
        "icon": ICONS.get(value, "question-circle-fill"),
        "label": known.label if known else label or value,
    }


@register.inclusion_tag("components/state.html")
def state(row: Any, field: str = "state") -> dict[str, str]:
    """The state of a request, run, change or scope as a badge."""
    value, label = getattr(row, field), getattr(row, f"get_{field}_display")()
    for table in STATES.values():
        if value in table and _is_of(row, field, table):
            tone, name = table[value]
            return {"tone": tone, "icon": name, "label": label}
    return {"tone": "neutral", "icon": "question-circle-fill", "label": label}


@register.inclusion_tag("components/state.html")
def standing(value: str) -> dict[str, str]:
    """Where a workload or an account stands, as a badge."""
    tone, name = STANDINGS[value]
    return {"tone": tone, "icon": name, "label": Standing(value).label}


@register.inclusion_tag("components/state.html")
def launch_answer(value: str) -> dict[str, str]:
    """What becomes of a launch, as a badge."""
    answer = LaunchAnswer(value)
    tone, name = LAUNCHES[answer]
    return {"tone": tone, "icon": name, "label": answer.label}


def _is_of(row: Any, field: str, table: Mapping[str, tuple[str, str]]) -> bool:
    """Two tables share words such as `pending`: the field's own choices say which is meant."""
    return {str(value) for value, _ in type(row)._meta.get_field(field).choices} == {str(value) for value in table}  # noqa: SLF001 -- Django documents _meta


@register.inclusion_tag("components/mixbar.html")
def mixbar(mix: Mix, size: str = "") -> dict[str, Any]:
    parts = [(part.status.value, part.count) for part in mix.parts]
    words = ", ".join(f"{part.count:,} {inner(part.status.label)}" for part in mix.parts)
    return {"segments": charts.segments(parts), "label": words or "no instance", "size": size}


@register.inclusion_tag("components/runbar.html")
def heapbar(heaps: Heaps) -> dict[str, Any]:
    """All account-Regions, by how their last pass went."""
    words = ", ".join(f"{heap.count:,} {heap.words}" for heap in heaps.parts)
    return {
        "segments": charts.segments([(heap.tone, heap.count) for heap in heaps.parts]),
        "label": words or "no account-Region",
    }


@register.inclusion_tag("components/meter.html")
def meter(share: float | None, label: str, tone: str = "good") -> dict[str, Any]:
    return {"share": None if share is None else f"{100 * share:.2f}", "label": label, "tone": tone}


@register.inclusion_tag("components/spark.html")
def spark(calls: Sequence[int | None]) -> dict[str, Any]:
    return {"spark": charts.spark(calls)}


@register.inclusion_tag("components/spark.html")
def small_burn_down(left: Sequence[int | None]) -> dict[str, Any]:
    return {"spark": charts.small_burn_down(left), "tone": "burn"}


@register.inclusion_tag("components/runbar.html")
def runbar(progress: Progress) -> dict[str, Any]:
    parts = (
        ("good", progress.verified),
        ("neutral", progress.skipped),
        ("bad", progress.failed),
        ("busy", progress.moving),
        ("waiting", progress.waiting),
    )
    words = (
        f"{progress.verified:,} verified, {progress.skipped:,} skipped, {progress.failed:,} failed, "
        f"{progress.moving:,} under way, {progress.waiting:,} waiting"
    )
    return {"segments": charts.segments([part for part in parts if part[1]]), "label": words}


@register.filter
def share_of(value: float | None, top: float | None) -> float | None:
    return value / top if value is not None and top else None
