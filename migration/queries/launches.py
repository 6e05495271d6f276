"""What new instances come from: for the verdict on an instance, for the page, and for the account."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet

from migration.domain.launch import WORST
from migration.domain.workload import Key
from migration.enums import GapKind, LaunchAnswer, LaunchSourceKind, Level, WorkloadKind
from migration.models import Account, LaunchReading, LaunchSource, Scope
from migration.queries.access import among

# --- for the verdict: will it come back? --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comeback:
    """What would launch an instance's successor, and what that would get."""

    kind: LaunchSourceKind
    name: str
    answer_now: LaunchAnswer
    answer_enforced: LaunchAnswer

    @property
    def shown(self) -> str:
        """Such as "Auto Scaling group web"."""
        return f"{self.kind.label} {self.name}"


@dataclass(frozen=True, slots=True)
class Launching:
    """The living sources of one account in one Region, by what an instance's row tells of its own launch."""

    groups: Mapping[str, Comeback] = field(default_factory=dict)
    versions: Mapping[tuple[str, str], Comeback] = field(default_factory=dict)  # template id and version

    def of(self, asg_name: str, template_id: str = "", template_version: str = "") -> Comeback | None:
        """The group's answer for its member, else that of the template version. None: nothing known launches it
        again, or no such source was read.
        """
        if asg_name:
            return self.groups.get(asg_name)
        return self.versions.get((template_id, template_version))

    def of_key(self, key: Key) -> Comeback | None:
        """What launches the next member of a workload; of a template the worst version in use."""
        if key.kind == WorkloadKind.ASG:
            return self.groups.get(key.name)
        template = key.name.partition(" with ")[0]
        found = [one for (template_id, _), one in self.versions.items() if template_id == template]
        return min(found, key=lambda one: WORST.index(one.answer_now), default=None)


def comes_back(account_pk: int, region: str) -> Launching:
    """One query; a source that is gone launches nothing more."""
    rows = LaunchSource.objects.filter(
        account_id=account_pk,
        region=region,
        gone_at__isnull=True,
        kind__in=[LaunchSourceKind.GROUP, LaunchSourceKind.TEMPLATE],
    ).order_by()
    groups: dict[str, Comeback] = {}
    versions: dict[tuple[str, str], Comeback] = {}
    for kind, source_id, name, now, enforced, ways in rows.values_list(
        "kind", "source_id", "name", "answer_now", "answer_enforced", "resolution"
    ):
        if kind == LaunchSourceKind.GROUP:
            groups[source_id] = Comeback(LaunchSourceKind.GROUP, name, LaunchAnswer(now), LaunchAnswer(enforced))
            continue
        for way in ways:
            shown = f"{name}, version {way['version']}"
            versions[source_id, str(way["version"])] = Comeback(
                LaunchSourceKind.TEMPLATE, shown, LaunchAnswer(way["now"]), LaunchAnswer(way["enforced"])
            )
    return Launching(groups, versions)


# --- for the page and the account ---------------------------------------------------------------------------

WOULD_FAIL = "would_fail"
ANSWERS = {
    LaunchAnswer.V1_ALLOWED.value: "Allows IMDSv1 now",
    LaunchAnswer.FAILS.value: "Fails now",
    WOULD_FAIL: "Would fail under enforcement",
    LaunchAnswer.UNKNOWN.value: "Not known",
    LaunchAnswer.SAFE.value: "Safe",
}
EXAMPLES = 200  # readings with a gap that are looked into for words; their number is counted whole
OPTIONS = (
    ("tokens", "HttpTokens"),
    ("hop_limit", "Hop limit"),
    ("endpoint", "Endpoint"),
    ("ipv6", "IPv6"),
    ("tags", "Instance tags"),
)


@dataclass(frozen=True)
class LaunchFilters:
    q: str = ""
    account: str = ""
    region: str = ""
    kind: str = ""
    answer: str = ""

    @property
    def any(self) -> bool:
        return bool(self.q or self.account or self.region or self.kind or self.answer)


def living(accounts: QuerySet[Account]) -> QuerySet[LaunchSource]:
    """The sources of these accounts that are there, in no order."""
    return LaunchSource.objects.filter(among(accounts, "account"), gone_at__isnull=True).order_by()


def matching(accounts: QuerySet[Account], filters: LaunchFilters) -> QuerySet[LaunchSource]:
    """The worst first, among equals those that launched most in 30 days. What a service keeps comes last."""
    found = living(accounts)
    if filters.q:
        found = found.filter(
            Q(name__icontains=filters.q) | Q(source_id__icontains=filters.q) | Q(image_id__icontains=filters.q)
        )
    if filters.account:
        found = found.filter(
            Q(account__name__icontains=filters.account) | Q(account__account_id__contains=filters.account)
        )
    if filters.region:
        found = found.filter(region=filters.region)
    if filters.kind:
        found = found.filter(kind=filters.kind)
    if filters.answer == WOULD_FAIL:
        found = found.filter(answer_enforced=LaunchAnswer.FAILS)
    elif filters.answer:
        found = found.filter(answer_now=filters.answer)
    return found.order_by("severity", "-instances_30d", "name", "pk").select_related("account")


@dataclass(frozen=True)
class Counts:
    """How many sources there are, by what they launch. Those a service keeps are counted by themselves alone."""

    safe: int = 0
    v1_allowed: int = 0
    fails: int = 0
    unknown: int = 0
    would_fail: int = 0  # under enforcement, of all four
    kept_by_services: int = 0

    @property
    def ours(self) -> int:
        return self.safe + self.v1_allowed + self.fails + self.unknown

    @property
    def all(self) -> int:
        return self.ours + self.kept_by_services


def counts(accounts: QuerySet[Account]) -> Counts:
    """In one query."""
    ours = Q(provider="")
    by_answer = {answer.value: Count("pk", filter=ours & Q(answer_now=answer)) for answer in LaunchAnswer}
    return Counts(
        **living(accounts).aggregate(
            **by_answer,
            would_fail=Count("pk", filter=ours & Q(answer_enforced=LaunchAnswer.FAILS)),
            kept_by_services=Count("pk", filter=~ours),
        )
    )


def answers_by_account(accounts: QuerySet[Account]) -> dict[int, dict[str, int]]:
    """By account (its primary key), how many of its own sources launch what now."""
    rows = living(accounts).filter(provider="").values_list("account_id", "answer_now").annotate(Count("pk"))
    found: dict[int, dict[str, int]] = {}
    for account, answer, count in rows:
        found.setdefault(account, {})[answer] = count
    return found


@dataclass(frozen=True)
class Unread:
    """One kind that was not read, for one reason: in how many account-Regions, and AWS's words in one of them."""

    kind: str
    gap: str
    count: int
    account: str
    region: str
    message: str


@dataclass(frozen=True)
class Readings:
    """How far the launch sources are known. Not read is never the same as not there."""

    scopes: int = 0  # account-Regions that are collected
    whole: int = 0  # of them, those whose last try read every kind
    never: int = 0  # and those never tried
    newest_at: datetime | None = None
    unread: tuple[Unread, ...] = ()
    looked_into: int = 0  # readings with a gap that `unread` speaks of

    @property
    def partly(self) -> int:
        return self.scopes - self.whole - self.never


WHOLE = Q(launch_reading__read_at=F("launch_reading__tried_at"))


def readings(accounts: QuerySet[Account]) -> Readings:
    """In two queries, however many account-Regions there are."""
    scopes = Scope.objects.filter(among(accounts, "account"), account__enabled=True, enabled=True).order_by()
    counted = scopes.aggregate(
        scopes=Count("pk"),
        whole=Count("pk", filter=WHOLE),
        never=Count("pk", filter=Q(launch_reading__isnull=True)),
        newest_at=Max("launch_reading__read_at"),
    )
    partly = (
        LaunchReading.objects.filter(scope__in=scopes)
        .exclude(read_at=F("tried_at"), read_at__isnull=False)
        .order_by("-tried_at")
        .values_list("scope__account__account_id", "scope__account__name", "scope__region", "gaps")
    )[:EXAMPLES]
    rows = list(partly)
    return Readings(**counted, unread=tuple(_unread(rows)), looked_into=len(rows))


def _unread(rows: Iterable[tuple[str, str, str, list[dict[str, str]]]]) -> list[Unread]:
    found: dict[tuple[str, str], Unread] = {}
    for account_id, name, region, gaps in rows:
        for gap in gaps:
            key = gap["kind"], gap["gap"]
            known = found.get(key) or Unread(
                gap["kind"], GapKind(gap["gap"]).label, 0, name or account_id, region, gap["message"]
            )
            found[key] = Unread(known.kind, known.gap, known.count + 1, known.account, known.region, known.message)
    return sorted(found.values(), key=lambda one: (-one.count, one.kind))


def regions(accounts: QuerySet[Account]) -> list[str]:
    return list(living(accounts).order_by("region").values_list("region", flat=True).distinct())


@dataclass(frozen=True)
class OptionLine:
    """One option of one launch."""

    name: str
    value: str | int | None  # None: not known
    level: str


@dataclass(frozen=True)
class WayLines:
    """One launch a source may make, option by option."""

    label: str
    image_id: str
    counts: bool
    unread: str
    now: LaunchAnswer
    enforced: LaunchAnswer
    options: tuple[OptionLine, ...]


@dataclass(frozen=True)
class SourceRow:
    """A source as a row of the page."""

    source: LaunchSource
    decided: str  # the level that decides the tokens, in words; empty: it could not be read
    ways: tuple[WayLines, ...]


def rows(page: Iterable[LaunchSource]) -> list[SourceRow]:
    return [
        SourceRow(
            source,
            _level(source.decided, source.kind) if source.decided else "",
            tuple(_way(way, source.kind) for way in source.resolution),
        )
        for source in page
    ]


def _way(stored: dict[str, Any], kind: str) -> WayLines:
    options = stored["options"]
    return WayLines(
        label=stored["label"],
        image_id=stored["image_id"],
        counts=stored["counts"],
        unread=stored["unread"],
        now=LaunchAnswer(stored["now"]),
        enforced=LaunchAnswer(stored["enforced"]),
        options=tuple(
            OptionLine(label, options[name]["value"], _level(options[name]["level"], kind)) for name, label in OPTIONS
        ),
    )


def _level(level: str, kind: str) -> str:
    """The level in words; the highest by what it is of this source."""
    if level != Level.LAUNCH:
        return str(Level(level).label)
    return "launch configuration" if kind == LaunchSourceKind.CONFIGURATION else "template"
