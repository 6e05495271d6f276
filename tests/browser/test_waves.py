"""Waves, policies and the brake in a real browser, with every state there is and with nothing."""

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from migration.enums import Role, WaveState
from migration.models import Brake, EnforcementRequest, Policy, Run, Wave
from tests import factories
from tests.browser.seed import HOSTILE, Organisation
from tests.browser.visitor import DESK, DESK_DARK, NARROWEST, PHONE_DARK, TABLET, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS = pytest.mark.parametrize("look", [DESK, DESK_DARK, TABLET, PHONE_DARK, NARROWEST], ids=str)


@dataclass(frozen=True)
class Made:
    waves: dict[str, Wave]
    policies: dict[str, Policy]


@pytest.fixture
def made(org: Organisation) -> Made:
    now = timezone.now()
    one, two, three, four, *_ = org.accounts
    first = factories.user("anna", Role.ADMIN)
    second = factories.user("ben", Role.ADMIN)
    active = factories.wave(
        one,
        two,
        three,
        by=org.engineer,
        name="Commerce and data",
        owner="Ada Okafor",
        contact="#commerce-platform",
        due_on=now.date() + timedelta(days=40),
        position=1,
        state=WaveState.ACTIVE,
        started_at=now - timedelta(days=30),
    )
    EnforcementRequest.objects.filter(pk=org.waiting.pk).update(wave=active)
    EnforcementRequest.objects.filter(pk=org.running.request_id).update(wave=active)
    Run.objects.filter(pk=org.running.pk).update(wave=active)
    late = factories.wave(
        four,
        by=org.engineer,
        name=HOSTILE,
        owner=HOSTILE,
        contact="x" * 200,
        due_on=now.date() - timedelta(days=9),
        position=2,
        state=WaveState.ACTIVE,
        started_at=now - timedelta(days=40),
        paused_because=f"3 instances refuse calls. {HOSTILE}",
    )
    closed = factories.wave(by=org.engineer, name="Pilot", position=0, state=WaveState.CLOSED, closed_at=now)
    draft = factories.wave(by=org.engineer, name="Rest", position=3)
    both: dict[str, Any] = {"by": first, "decided_by": second}
    window: dict[str, Any] = {
        "window_zone": "Europe/Berlin",
        "window_days": [0, 3],
        "window_start": time(22),
        "window_minutes": 240,
    }
    return Made(
        {"active": active, "late": late, "closed": closed, "draft": draft},
        {
            "everywhere": factories.policy(**both, **window, quorum=2),
            "unit": factories.policy(**both, ou_path="Root/Data", quorum=3, reason=HOSTILE),
            "account": factories.policy(**both, account=one, one_click=20, emergency="owner"),
            "waiting": factories.policy(by=first, quorum=3, reason="y" * 900),
            "narrower": factories.policy(by=second, ou_path="Root/Commerce", quorum=2, **window),
            "withdrawn": factories.policy(by=first, state="withdrawn", quorum=2),
        },
    )


@LOOKS
def test_what_an_engineer_sees_of_waves_is_accessible_quiet_and_fits_its_window(visit, org, made, look):
    visitor = visit(org.engineer, look)
    pages = {f"wave-{name}": reverse("wave", args=[wave.pk]) for name, wave in made.waves.items()}

    assert visitor.tour(pages | {"waves": reverse("waves"), "wave-new": reverse("new_wave")}) == {}


@LOOKS
def test_what_an_admin_sees_of_policies_is_accessible_quiet_and_fits_its_window(visit, made, look):
    visitor = visit(made.policies["narrower"].proposed_by, look)
    pages = {f"policy-{name}": reverse("policy", args=[policy.pk]) for name, policy in made.policies.items()}
    lists = {"policies": reverse("policies"), "policy-new": f"{reverse('new_policy')}?ou=Root"}

    assert visitor.tour(pages | lists) == {}


@LOOKS
def test_the_brake_is_accessible_quiet_and_fits_its_window(visit, org, look):
    visitor = visit(org.approver, look)
    off = visitor.tour({"brake-off": reverse("runs")})
    Brake.objects.create(pk=1, on=True, by=org.engineer, at=timezone.now(), reason=f"Payments fails. {HOSTILE}")

    assert off | visitor.tour({"brake-runs": reverse("runs"), "brake-overview": reverse("overview")}) == {}

    visitor.page.locator(".brake summary").click()
    assert visitor.findings("brake-open")["axe"] == []


@pytest.mark.parametrize("look", [DESK, PHONE_DARK], ids=str)
def test_an_empty_installation_says_what_waves_and_policies_are(visit, transactional_db, look):
    visitor = visit(factories.user("anna", Role.ADMIN), look)
    names = ("waves", "new_wave", "policies", "new_policy", "runs")

    assert visitor.tour({f"empty-{name}": reverse(name) for name in names}) == {}


def test_the_forms_of_a_wave_open_and_are_accessible(visit, org, made):
    visitor: Visitor = visit(org.engineer, DESK)
    visitor.open(reverse("wave", args=[made.waves["active"].pk]))

    for summary in visitor.page.locator("main details.more > summary").all():
        summary.click()

    assert visitor.findings("wave-open")["axe"] == []
    assert visitor.page.locator("a[href*='evil.example']").count() == 0


def test_a_brake_is_pulled_and_released_by_hand(visit, org):
    visitor: Visitor = visit(org.approver, DESK)
    visitor.open(reverse("runs"))

    visitor.page.locator(".brake-pull summary").click()
    visitor.page.fill("#brake-reason", "Payments fails.")
    visitor.page.get_by_role("button", name="Pull the brake").click()
    visitor.page.locator(".brake", has_text="nothing is written to AWS").wait_for()

    visitor.page.locator(".brake summary").click()
    visitor.page.fill("#brake-release-reason", "It was DNS.")
    visitor.page.fill("#brake-release-typed", "release")
    visitor.page.get_by_role("button", name="Release the brake").click()
    visitor.page.get_by_text("The brake is released").wait_for()

    assert (Brake.objects.get().on, visitor.page.locator(".brake").count()) == (False, 0)
