"""The pages of waivers in a real browser, with every state there is and a message that nobody got."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from migration.enums import NotificationState
from migration.models import Notification, Waiver
from tests import factories
from tests.browser.seed import HOSTILE, Organisation
from tests.browser.visitor import DESK, DESK_DARK, NARROWEST, PHONE_DARK, TABLET

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def made(org: Organisation) -> dict[str, Waiver]:
    now = timezone.now()
    today, account = now.date(), org.accounts[0]
    people = {"by": org.engineer, "decided_by": org.approver}
    over = factories.waiver(
        account, **people, kind="asg", target="web", state="ended", closed_at=now, closed_because="Renewed by waiver 2."
    )
    Notification.objects.create(
        key="x",
        channel="mail",
        kind="test",
        subject=HOSTILE,
        error=HOSTILE,
        state=NotificationState.PARKED,
        created_at=now,
    )
    return {
        "over": over,
        "active": factories.waiver(
            account,
            **people,
            kind="asg",
            target="web",
            renews=over,
            renewals=1,
            reason=HOSTILE,
            expires_on=today + timedelta(days=9),
        ),
        "waiting": factories.waiver(account, by=org.engineer, kind="tag", target=f"Team={'x' * 300}", reason="y" * 900),
        "rejected": factories.waiver(org.accounts[1], **people, kind="account", state="rejected", closed_at=now),
    }


@pytest.mark.parametrize("look", [DESK, DESK_DARK, TABLET, PHONE_DARK, NARROWEST], ids=str)
def test_what_an_approver_sees_is_accessible_quiet_and_fits_its_window(visit, org, made, look):
    visitor = visit(org.approver, look)
    pages = {f"waiver-{name}": reverse("waiver", args=[waiver.pk]) for name, waiver in made.items()}
    pages["account-waivers"] = reverse("account", args=[org.accounts[0].account_id])
    lists = {"waivers": reverse("waivers"), "waivers-all": f"{reverse('waivers')}?show=all&q=e"}

    assert visitor.tour(pages | lists | {"data-quality-messages": reverse("data_quality")}) == {}


@pytest.mark.parametrize("look", [DESK, PHONE_DARK], ids=str)
def test_what_an_engineer_can_press_is_accessible(visit, org, made, look):
    visitor = visit(org.engineer, look)
    pages = {
        "waiver-renewable": reverse("waiver", args=[made["active"].pk]),
        "waiver-new": reverse("new_waiver"),
        "waivers-none": f"{reverse('waivers')}?q=nothing-of-that-name",
        "messages-lost": reverse("data_quality"),
    }

    assert visitor.tour(pages) == {}


def test_an_empty_installation_says_what_a_waiver_is(visit, transactional_db):
    from migration.enums import Role

    visitor = visit(factories.user("anna", Role.ADMIN), DESK)

    assert visitor.tour({"empty-waivers": reverse("waivers"), "empty-new": reverse("new_waiver")}) == {}
