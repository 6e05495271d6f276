"""A waiver's way: asked for by one, decided by another, over by itself; and what it does to the verdict."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from migration.actions import waivers
from migration.actions.errors import Refused, Stale
from migration.actions.waivers import Asked
from migration.enums import Role, Status, WaiverKind, WaiverState
from migration.models import AuditEvent, Notification, Scope, Waiver
from migration.queries.waivers import waived
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


@pytest.fixture
def edith():
    return factories.user("edith", Role.ENGINEER)


@pytest.fixture
def arjun():
    return factories.user("arjun", Role.APPROVER)


@pytest.fixture
def shop():
    account = factories.account(name="shop")
    factories.scope(account)
    factories.instance(account, asg_name="web", tags={"Team": "payments=core"})
    return account


def asked(account, **fields) -> Asked:
    told: dict[str, Any] = {
        "kind": WaiverKind.GROUP,
        "target": "web",
        "region": "",
        "reason": "The vendor ships a fix in May.",
        "expires_on": TODAY + timedelta(days=90),
    }
    return Asked(account=account, **told | fields)


def granted(account, edith, arjun, **fields) -> Waiver:
    waiver = waivers.ask(asked=asked(account, **fields), by=edith, now=NOW)
    return waivers.approve(waiver=waiver, by=arjun, comment="", version=0, now=NOW)


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


# --- asking --------------------------------------------------------------------------------------------


def test_what_is_asked_for_waives_nothing_until_somebody_else_agrees(shop, edith, arjun):
    waiver = waivers.ask(asked=asked(shop), by=edith, now=NOW)
    row = shop.instances.get()
    assert waived(shop.pk, row.region, TODAY).until(row) is None

    waivers.approve(waiver=waiver, by=arjun, comment="until May", version=0, now=NOW)
    found = waived(shop.pk, row.region, TODAY).until(row)
    assert found is not None
    assert (found.until, found.words) == (date(2027, 2, 18), "(by group web): The vendor ships a fix in May.")
    assert verbs() == ["waiver.requested", "waiver.approved"]


BAD = {
    "no reason": ({"reason": "  "}, "Say why"),
    "a day that is over": ({"expires_on": TODAY}, "is not in the future"),
    "longer than a year": ({"expires_on": TODAY + timedelta(days=366)}, "365 days at most"),
    "a group without members": ({"target": "gone"}, "belongs to an Auto Scaling group gone"),
    "an instance that is not there": ({"kind": WaiverKind.INSTANCE, "target": "i-0"}, "is not an instance of shop"),
    "nothing named": ({"kind": WaiverKind.INSTANCE, "target": " "}, "Say which instance"),
    "a tag without a value": ({"kind": WaiverKind.TAG, "target": "Team"}, "Key=Value"),
    "a tag that is not kept": ({"kind": WaiverKind.TAG, "target": "Cost=7"}, "is not kept here"),
    "a tag nobody carries": ({"kind": WaiverKind.TAG, "target": "Team=x"}, "carries the tag Team=x"),
    "a Region that is not known": ({"region": "mars-1"}, "not a Region of shop"),
}


@pytest.mark.parametrize(("fields", "words"), BAD.values(), ids=BAD.keys())
def test_what_makes_no_sense_is_refused_in_a_sentence(shop, edith, fields, words):
    with pytest.raises(Refused, match=words):
        waivers.ask(asked=asked(shop, **fields), by=edith, now=NOW)

    assert not Waiver.objects.exists()


KINDS = {
    WaiverKind.GROUP: "web",
    WaiverKind.TAG: "Team=payments=core",
    WaiverKind.ACCOUNT: "",
}


@pytest.mark.parametrize(("kind", "target"), KINDS.items())
def test_each_kind_covers_its_instances_and_no_other(shop, edith, arjun, kind, target):
    other = factories.instance(shop, asg_name="other", tags={"Team": "payments"})
    granted(shop, edith, arjun, kind=kind, target=target)
    holds = waived(shop.pk, other.region, TODAY)

    assert holds.until(shop.instances.get(asg_name="web")) is not None
    assert (holds.until(other) is not None) == (kind == WaiverKind.ACCOUNT)


def test_a_waiver_of_one_region_says_nothing_of_another(shop, edith, arjun):
    granted(shop, edith, arjun, region="us-east-1")
    row = shop.instances.get()

    assert waived(shop.pk, "us-east-1", TODAY).until(row) is not None
    assert waived(shop.pk, "eu-west-1", TODAY).until(row) is None


def test_the_same_is_not_asked_for_twice(shop, edith, arjun):
    waivers.ask(asked=asked(shop), by=edith, now=NOW)
    with pytest.raises(Refused, match="waits for a decision already"):
        waivers.ask(asked=asked(shop), by=edith, now=NOW)
    waivers.approve(waiver=Waiver.objects.get(), by=arjun, comment="", version=0, now=NOW)
    with pytest.raises(Refused, match="Renew that one instead"):
        waivers.ask(asked=asked(shop), by=edith, now=NOW)


# --- deciding ------------------------------------------------------------------------------------------


def test_who_asked_never_decides_and_the_attempt_is_audited(shop):
    both = factories.user("both", Role.ENGINEER, Role.APPROVER)
    waiver = waivers.ask(asked=asked(shop), by=both, now=NOW)
    with pytest.raises(Refused):
        waivers.approve(waiver=waiver, by=both, comment="", version=0, now=NOW)

    assert Waiver.objects.get().state == WaiverState.REQUESTED
    assert verbs() == ["waiver.requested", "denied"]


def test_the_database_itself_refuses_one_person(shop, edith):
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.waiver(shop, by=edith, decided_by=edith, target="i-1")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER])
def test_asking_takes_the_role_engineer(shop, role):
    with pytest.raises(Refused):
        waivers.ask(asked=asked(shop), by=factories.user("v", role), now=NOW)

    assert verbs() == ["denied"]


def test_of_two_decisions_the_second_is_told_that_it_is_late(shop, edith, arjun):
    waiver = waivers.ask(asked=asked(shop), by=edith, now=NOW)
    stale = Waiver.objects.get(pk=waiver.pk)
    waivers.reject(waiver=waiver, by=arjun, comment="no", version=0, now=NOW)
    with pytest.raises((Refused, Stale)):
        waivers.approve(waiver=stale, by=arjun, comment="", version=0, now=NOW)

    assert Waiver.objects.get().state == WaiverState.REJECTED


def test_its_regions_are_judged_again_at_once(shop, edith, arjun):
    Scope.objects.update(inventory_due_at=NOW + timedelta(hours=5), next_due_at=NOW + timedelta(hours=5))
    granted(shop, edith, arjun)

    assert Scope.objects.get().next_due_at <= NOW


def test_one_that_nobody_decided_on_in_time_is_not_approved_any_more(shop, edith, arjun):
    waiver = waivers.ask(asked=asked(shop, expires_on=TODAY + timedelta(days=5)), by=edith, now=NOW)
    with pytest.raises(Refused, match="which is over"):
        waivers.approve(waiver=waiver, by=arjun, comment="", version=0, now=NOW + timedelta(days=6))

    waivers.expire(now=NOW + timedelta(days=6))
    assert Waiver.objects.get().state == WaiverState.EXPIRED


def test_what_was_waived_before_is_asked_for_as_a_renewal(shop, edith, arjun):
    """Or nobody would ever be told how often."""
    first = granted(shop, edith, arjun)
    waivers.end(waiver=first, by=edith, reason="It is fixed.", version=first.version, now=NOW)

    second = granted(shop, edith, arjun)

    assert (second.renews, second.renewals, second.since) == (first, 1, first.since)


# --- renewals and ends ---------------------------------------------------------------------------------


def test_a_renewal_needs_somebody_else_again_and_is_counted(shop, edith, arjun):
    first = granted(shop, edith, arjun)
    later = TODAY + timedelta(days=180)
    second = waivers.renew(waiver=first, reason="The fix is late.", expires_on=later, by=edith, now=NOW)
    row = shop.instances.get()
    assert waived(shop.pk, row.region, TODAY).until(row).until == first.expires_on

    waivers.approve(waiver=second, by=arjun, comment="", version=0, now=NOW)
    first.refresh_from_db()
    assert (first.state, second.state, second.renewals, second.since) == ("ended", "active", 1, first.since)
    assert waived(shop.pk, row.region, TODAY).until(row).until == later


def test_a_renewal_that_ends_no_later_is_refused(shop, edith, arjun):
    first = granted(shop, edith, arjun)
    with pytest.raises(Refused, match="has to last longer"):
        waivers.renew(waiver=first, reason="x", expires_on=first.expires_on, by=edith, now=NOW)


def test_what_is_over_expires_by_itself_with_an_event_and_a_message(shop, edith, arjun, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://example.com/hook"
    granted(shop, edith, arjun)
    after = NOW + timedelta(days=91)
    assert (waivers.expire(now=NOW + timedelta(days=90)), waivers.expire(now=after), waivers.expire(now=after)) == (
        0,
        1,
        0,
    )

    assert Waiver.objects.get().state == WaiverState.EXPIRED
    assert verbs()[-1] == "waiver.expired"
    assert Notification.objects.filter(subject__contains="has expired").count() == 1


def test_people_are_reminded_fourteen_and_three_days_before_once_each(shop, edith, arjun, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://example.com/hook"
    granted(shop, edith, arjun)
    for day in range(92):
        waivers.remind(now=NOW + timedelta(days=day))
        waivers.remind(now=NOW + timedelta(days=day))

    told = Notification.objects.filter(subject__startswith="A waiver ends").order_by("created_at")
    assert [(row.created_at - NOW).days for row in told] == [76, 87]


def test_one_that_ends_early_waives_no_more(shop, edith, arjun):
    waiver = granted(shop, edith, arjun)
    waivers.end(waiver=waiver, by=arjun, reason="It is fixed.", version=waiver.version, now=NOW)
    row = shop.instances.get()

    assert waived(shop.pk, row.region, TODAY).until(row) is None
    assert row.status == Status.READY
