"""What is stored of an account's Regions, as the ladder's rules judge it; and which rung the account has reached."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet

from migration.domain.rungs import Home, not_clean
from migration.domain.sources import Shelf
from migration.enums import DONE, LEFT, LaunchAnswer, RunState, Status, WatchState
from migration.models import Account, Instance, LaunchReading, LaunchSource, RegionDefaults, Run, Scope
from migration.queries import shelf
from migration.queries.shelf import Place

FRESH = timedelta(days=2)  # older readings of what launches instances say nothing of now


def homes(account: Account, *, now: datetime, region: str = "") -> Iterator[Home]:
    """Each Region of the account that is collected, in their order."""
    scopes = Scope.objects.filter(account=account, enabled=True).order_by("region")
    for scope in scopes.filter(region=region) if region else scopes:
        yield home(scope, now=now)


def home(scope: Scope, *, now: datetime) -> Home:
    """One account-Region. What was not read whole within two days is not complete."""
    place = Place(scope.account_id, scope.region)
    since = now - FRESH
    living = Instance.objects.filter(**place.here, gone_at__isnull=True).order_by()
    return Home(
        region=scope.region,
        account_id=scope.account.account_id,
        shelf=Shelf(
            region=scope.region,
            defaults=shelf.defaults(scope.pk, since=since),
            templates={fact.template_id: fact for fact, seen in shelf.templates(place) if seen >= since},
            versions=shelf.versions(place),
            images=shelf.images(place),
        ),
        groups=[fact for fact, seen in shelf.groups(place) if seen >= since],
        complete=_complete(scope, since),
        by_template=_by(living, "launch_template_id"),
        by_image=_by(living, "image_id"),
        everything=dict(living.values_list("status").annotate(Count("pk"))),
        unsafe=dict(
            LaunchSource.objects.filter(**place.here, gone_at__isnull=True)
            .exclude(answer_enforced=LaunchAnswer.SAFE)
            .order_by()
            .values_list("answer_enforced")
            .annotate(Count("pk"))
        ),
    )


def _complete(scope: Scope, since: datetime) -> bool:
    reading = LaunchReading.objects.filter(scope=scope).first()
    return reading is not None and reading.read_at is not None and reading.read_at >= since and not reading.gaps


def _by(living: QuerySet[Instance], field: str) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, status, count in living.exclude(**{field: ""}).values_list(field, "status").annotate(Count("pk")):
        found.setdefault(key, {})[status] = count
    return found


def enforcement_harms(account: Account, region: str, *, now: datetime) -> str:
    """Why HttpTokensEnforced must not be set in the Region now, in a sentence, or "": asked again before each step."""
    scope = Scope.objects.filter(account=account, region=region, enabled=True).select_related("account").first()
    if scope is None:
        return "The Region is not collected, so its launches cannot be simulated."
    return not_clean(home(scope, now=now))


# --- which rung ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. `done` None: not known."""

    title: str
    done: bool | None
    told: str


def ladder(account: Account, *, now: datetime) -> list[Rung]:
    """The five rungs of an account, the lowest first, from what is stored."""
    here = {"account": account, "gone_at__isnull": True}
    counts = dict(Instance.objects.filter(**here).order_by().values_list("status").annotate(Count("pk")))
    return [
        _launches(account, now),
        _instances(counts),
        _watched(account),
        *_regions(account),
    ]


def _launches(account: Account, now: datetime) -> Rung:
    sources = LaunchSource.objects.filter(account=account, gone_at__isnull=True).order_by()
    answers = dict(sources.values_list("answer_now").annotate(Count("pk")))
    scopes = Scope.objects.filter(account=account, enabled=True)
    unread = scopes.exclude(launch_reading__read_at__gte=now - FRESH).count()
    bad = sum(count for answer, count in answers.items() if answer != LaunchAnswer.SAFE)
    title = "New launches are safe"
    if bad:
        return Rung(title, done=False, told=f"{bad} of {sum(answers.values())} launch sources are not safe")
    if unread or not scopes.exists():
        return Rung(title, None, "not every Region's launch sources were read within two days")
    return Rung(title, done=True, told=f"all {sum(answers.values())} launch sources are")


def _instances(counts: Mapping[str, int]) -> Rung:
    title = "Every instance requires IMDSv2, or is waived"
    ours = sum(counts.get(status, 0) for status in (*DONE, *LEFT))
    left = ours - sum(counts.get(status, 0) for status in (*DONE, Status.WAIVED))
    if not ours:
        return Rung(title, None, "no instance has been seen")
    return Rung(title, not left, f"{left} of {ours} still allow IMDSv1" if left else f"all {ours} do")


def _watched(account: Account) -> Rung:
    title = "Watched, and quiet"
    run = Run.objects.filter(account=account, state__in=[RunState.DONE, RunState.FAILED, RunState.STOPPED])
    last = run.exclude(watch=WatchState.NONE).first()
    if last is None:
        return Rung(title, None, "no run of imdsdash was watched here")
    if last.watch == WatchState.WATCHING:
        return Rung(title, None, f"run {last.pk} is watched until {last.watch_until:%Y-%m-%d %H:%M} UTC")
    return Rung(title, last.watch == WatchState.QUIET, f"run {last.pk}: {last.get_watch_display().lower()}")


def _regions(account: Account) -> list[Rung]:
    scopes = Scope.objects.filter(account=account, enabled=True)
    rows = {row.scope_id: row for row in RegionDefaults.objects.filter(scope__in=scopes).select_related("scope")}
    total = scopes.count()
    enforced = [row for row in rows.values() if row.http_tokens_enforced == "enabled"]
    by_policy = [row for row in rows.values() if row.managed_by == "declarative-policy"]
    unknown = total - len(rows)
    locked = sum(row.managed_by == "declarative-policy" for row in enforced)
    return [
        Rung(
            "Launches that allow IMDSv1 are refused",
            None if unknown or not total else len(enforced) == total,
            f"in {len(enforced)} of {total} Regions" + (f", {locked} of them locked by policy" if locked else ""),
        ),
        Rung(
            "The organization's policy holds it",
            None if unknown or not total else len(by_policy) == total,
            f"a declarative policy holds the defaults of {len(by_policy)} of {total} Regions",
        ),
    ]


def next_rung(rungs: list[Rung]) -> Rung | None:
    """The lowest that is not reached."""
    return next((rung for rung in rungs if rung.done is not True), None)
