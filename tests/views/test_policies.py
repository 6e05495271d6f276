"""Policies as people meet them: what holds where, the form that keeps what was typed, the difference, and deciding."""

from datetime import time
from typing import Any

import pytest
from django.urls import reverse

from migration.enums import PolicyState, Role
from migration.models import AuditEvent, Policy
from tests import factories
from tests.views.test_pages import HOSTILE, body, text
from tests.views.test_quality import words

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return factories.account(name="shop", ou_path="Root/Prod/Shop")


@pytest.fixture
def both():
    return {"by": factories.user("pia", Role.ADMIN), "decided_by": factories.user("dan", Role.ADMIN)}


def typed(**fields: Any) -> dict[str, Any]:
    told = {
        "where": "everywhere",
        "target": "",
        "quorum": "2",
        "one_click": "0",
        "max_failures": "2",
        "canary_minutes": "30",
        "watch_hours": "24",
        "max_rejecting": "0",
        "emergency": "nobody",
        "window_zone": "",
        "window_start": "",
        "window_minutes": "",
        "reason": "The board wants two.",
    }
    return told | fields


# --- the list ----------------------------------------------------------------------------------------------


def test_the_page_says_what_holds_where_and_for_how_many_accounts(as_, shop, both):
    factories.account(ou_path="Root/Prod/Data"), factories.account(ou_path="Root/Test")
    factories.policy(**both, ou_path="Root/Prod", quorum=2)
    factories.policy(**both, account=shop, one_click=20)

    told = words(as_("viewer").get(reverse("policies")))

    assert "Where no policy holds: the settings 1 by one person" in told
    assert "In Root/Prod and below it policy" in told
    assert "1 by 2 different people" in told
    assert "one click: up to 20 instances" in told


def test_a_window_says_whether_it_is_open_now(as_, both):
    """It is Friday, 09:00 UTC."""
    window: dict[str, Any] = {"window_zone": "Europe/Berlin", "window_start": time(10), "window_minutes": 60}
    factories.policy(**both, ou_path="Root/A", window_days=[4], **window)
    factories.policy(**both, ou_path="Root/B", window_days=[0], **window)
    factories.account(ou_path="Root/A"), factories.account(ou_path="Root/B")

    told = words(as_("viewer").get(reverse("policies")))

    assert "Friday 10:00 for 1 h, Europe/Berlin open now" in told
    assert "Monday 10:00 for 1 h, Europe/Berlin opens 2026-11-23 09:00 UTC" in told


def test_what_waits_is_told_apart_by_whose_it_is_to_decide(as_, cast, both):
    factories.policy(by=cast["admin"], quorum=2), factories.policy(by=both["by"], quorum=3)

    page = text(as_("admin").get(reverse("policies")))

    assert page.index("Yours to decide") < page.index("Waiting for others") < page.index("What holds where")
    assert page.count(">Review<span") == 1
    assert '<span class="count">1<span' in page


def test_only_admins_have_it_in_their_menu(as_, shop):
    assert reverse("policies") in text(as_("admin").get(reverse("accounts")))
    assert reverse("policies") not in text(as_("approver").get(reverse("accounts")))


def test_who_sees_one_account_sees_what_holds_for_it_and_no_other_place(client, shop, both):
    other = factories.account(name="sealed-vault", ou_path="Root/Vault")
    everywhere, unit = factories.policy(**both), factories.policy(**both, ou_path="Root/Prod")
    own = factories.policy(**both, account=shop)
    hidden = [factories.policy(**both, ou_path="Root/Vault"), factories.policy(**both, account=other)]
    client.force_login(factories.user("narrow", Role.ADMIN, account=shop))

    page = text(client.get(reverse("policies")))
    answers = [client.get(reverse("policy", args=[one.pk])).status_code for one in (everywhere, unit, own, *hidden)]

    assert answers == [200, 200, 200, 404, 404]
    assert ("Vault" in page, "sealed-vault" in page) == (False, False)


@pytest.mark.parametrize("rows", [1, 4])
def test_the_page_costs_the_same_queries_for_one_policy_and_for_four(client, django_assert_num_queries, both, rows):
    for number in range(rows):
        account = factories.account(ou_path=f"Root/{number}")
        factories.policy(**both, account=account), factories.policy(**both, ou_path=f"Root/{number}")
        factories.policy(by=both["by"], account=account)
        factories.policy(by=both["by"], state=PolicyState.WITHDRAWN)
    client.force_login(factories.user("someone", Role.ADMIN))

    with django_assert_num_queries(QUERIES):
        client.get(reverse("policies"))


QUERIES = 13


# --- proposing ---------------------------------------------------------------------------------------------


def test_the_form_begins_with_what_holds_in_the_place_the_address_names(as_, shop, both):
    factories.policy(**both, ou_path="Root/Prod", quorum=3)

    page = as_("admin").get(reverse("new_policy"), {"account": shop.account_id})

    form = page.context["form"]
    assert (form["where"].value(), form["target"].value(), form["quorum"].value()) == ("account", shop.account_id, 3)


def test_what_is_proposed_waits_for_a_second_admin(as_, shop):
    sent = typed(
        where="ou",
        target="Root/Prod/",
        window_zone="Europe/Berlin",
        window_days=["3", "0"],
        window_start="22:00",
        window_minutes="240",
    )

    answer = as_("admin").post(reverse("new_policy"), sent, follow=True)

    policy = Policy.objects.get()
    assert (policy.state, policy.ou_path, policy.quorum) == (PolicyState.PROPOSED, "Root/Prod", 2)
    assert (policy.window_days, policy.window_start, policy.window_minutes) == ([0, 3], time(22), 240)
    assert "You proposed this, so a second admin must decide." in body(answer)


WRONG = {
    "no number": ({"quorum": "two"}, "“Approvals by different people” is not a whole number."),
    "too many": ({"quorum": "10"}, "“Approvals” is 10; it must be 1 to 9."),
    "no reason": ({"reason": ""}, "“Why shall it change?” is empty"),
    "a window without a zone": ({"window_start": "22:00"}, "A change window needs its time zone"),
    "a window without a time": ({"window_zone": "Europe/Berlin"}, "needs the time at which it opens"),
    "a window without a day": (
        {"window_zone": "Europe/Berlin", "window_start": "22:00", "window_minutes": "60"},
        "It opens on no day of the week",
    ),
    "everywhere with a name": ({"target": "Root"}, "Everywhere has no name"),
    "a unit without a name": ({"where": "ou"}, "Say which"),
    "an account that is not there": ({"where": "account", "target": "999999999999"}, "There is no such account here"),
    "a unit that is not there": ({"where": "ou", "target": "Root/Mars"}, "No account lies in Root/Mars"),
}


@pytest.mark.parametrize(("fields", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_what_was_typed_stays(as_, shop, fields, sentence):
    answer = as_("admin").post(reverse("new_policy"), typed(reason="typed words") | fields)

    assert (answer.status_code, Policy.objects.count()) == (409, 0)
    assert sentence in body(answer)
    assert ("typed words" in body(answer)) == (fields.get("reason") != "")


def test_an_account_that_is_not_seen_is_named_as_one_that_is_not_there(client, shop):
    other = factories.account(name="sealed-vault")
    client.force_login(factories.user("narrow", Role.ADMIN, account=shop))

    answer = client.post(reverse("new_policy"), typed(where="account", target=other.account_id))

    assert (answer.status_code, "sealed-vault" in body(answer)) == (409, False)


# --- the difference, and deciding --------------------------------------------------------------------------


def test_the_page_shows_what_changes_and_what_stays_against_what_it_replaces(as_, both):
    old = factories.policy(**both, quorum=1, one_click=20)
    new = factories.policy(by=both["by"], quorum=2, one_click=20)

    page = as_("admin").get(reverse("policy", args=[new.pk]))

    assert f"against policy {old.pk}, which it replaces" in body(page)
    assert "<del>by one person</del>" in text(page)
    assert "<ins>by 2 different people</ins>" in text(page)
    assert text(page).count("<ins>") == 1
    assert "up to 20 instances as now" in body(page)


@pytest.mark.parametrize(
    ("wider", "said"),
    [
        ({"ou_path": "Root/Prod"}, "which holds in Root/Prod and below it"),
        ({"ou_path": ""}, "which holds everywhere"),
        (None, "against the settings, for no policy holds there yet"),
    ],
)
def test_the_first_policy_of_a_place_is_told_from_what_holds_there_now(as_, shop, both, wider, said):
    if wider is not None:
        factories.policy(**both, **wider, quorum=4)
    new = factories.policy(by=both["by"], account=shop, quorum=2)

    page = as_("admin").get(reverse("policy", args=[new.pk]))

    assert said in body(page)
    assert ("<del>by 4 different people</del>" in text(page)) == (wider is not None)


def test_an_approval_sends_along_what_was_seen_and_replaces_it(as_, both):
    old, new = factories.policy(**both), factories.policy(by=both["by"], quorum=2)
    client, url = as_("admin"), reverse("approve_policy", args=[new.pk])
    assert f'<input type="hidden" name="replaces" value="{old.pk}"' in text(
        client.get(reverse("policy", args=[new.pk]))
    )

    answer = client.post(url, {"comment": "go", "version": 0, "replaces": old.pk}, follow=True)

    for row in (old, new):
        row.refresh_from_db()
    assert (old.state, new.state, new.comment) == (PolicyState.REPLACED, PolicyState.ACTIVE, "go")
    assert "It holds everywhere." in body(answer)


OLD = {
    "another version": {"version": 7, "replaces": ""},
    "another policy held": {"version": 0, "replaces": 99},
}


@pytest.mark.parametrize("sent", OLD.values(), ids=OLD)
def test_a_page_that_is_old_decides_nothing_and_keeps_the_comment(as_, both, sent):
    policy = factories.policy(by=both["by"])

    answer = as_("admin").post(reverse("approve_policy", args=[policy.pk]), {"comment": "typed words"} | sent)

    policy.refresh_from_db()
    assert (answer.status_code, policy.state) == (409, PolicyState.PROPOSED)
    assert "nothing was changed by you." in body(answer)
    assert "typed words" in body(answer)


def test_a_rejection_needs_a_word(as_, both):
    policy = factories.policy(by=both["by"])

    answer = as_("admin").post(reverse("reject_policy", args=[policy.pk]), {"comment": " ", "version": 0})

    assert (answer.status_code, Policy.objects.get().state) == (409, PolicyState.PROPOSED)
    assert "Say why you reject it" in body(answer)


def test_who_proposed_it_is_not_offered_the_decision_and_cannot_take_it(as_, cast):
    policy = factories.policy(by=cast["admin"])
    client, url = as_("admin"), reverse("approve_policy", args=[policy.pk])
    assert url not in text(client.get(reverse("policy", args=[policy.pk])))

    answer = client.post(url, {"comment": "", "version": 0})

    assert "a second admin must decide on it" in body(answer)
    assert Policy.objects.get().state == PolicyState.PROPOSED
    assert AuditEvent.objects.filter(verb="denied").count() == 1


def test_who_has_the_role_over_a_part_of_the_place_may_look_and_not_decide(client, shop, both):
    policy = factories.policy(by=both["by"], ou_path="Root")
    client.force_login(factories.user("partly", Role.ADMIN, ou_path="Root/Prod"))

    page = client.get(reverse("policy", args=[policy.pk]))
    answer = client.post(reverse("approve_policy", args=[policy.pk]), {"comment": "", "version": 0})

    assert "Waiting for somebody with the role Admin over all of its place." in body(page)
    assert (answer.status_code, Policy.objects.get().state) == (403, PolicyState.PROPOSED)
    assert AuditEvent.objects.get().verb == "denied"


def test_what_was_typed_never_becomes_markup(as_, both):
    factories.account(ou_path=HOSTILE, name=HOSTILE)
    policy = factories.policy(by=both["by"], ou_path=HOSTILE, reason=HOSTILE)

    for url in (reverse("policies"), reverse("policy", args=[policy.pk]), reverse("new_policy")):
        assert "<script>alert" not in as_("admin").get(url).content.decode()
