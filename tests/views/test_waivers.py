"""Waivers as people meet them: the list, the form that keeps what was typed, and deciding."""

from datetime import timedelta

import pytest
from django.urls import reverse

from migration.enums import Role, Status, WaiverState
from migration.models import Waiver
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import HOSTILE, body, text
from tests.views.test_quality import words

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


@pytest.fixture
def shop():
    account = factories.account(name="shop")
    factories.scope(account)
    factories.instance(account, name="web-1", asg_name="web", tags={"Team": "x"})
    return account


@pytest.fixture
def author():
    return factories.user("author", Role.ENGINEER)


@pytest.fixture
def decider():
    return factories.user("decider", Role.APPROVER)


@pytest.fixture
def both(author, decider):
    return {"by": author, "decided_by": decider}


def typed(account, **fields):
    told = {
        "account": account.account_id,
        "kind": "asg",
        "target": "web",
        "region": "",
        "reason": "A fix comes in May.",
        "expires_on": "2027-01-31",
    }
    return told | fields


# --- asking ------------------------------------------------------------------------------------------


def test_the_form_is_filled_with_what_the_address_says_and_ninety_days(as_, shop):
    page = as_("engineer").get(
        reverse("new_waiver"), {"account": shop.account_id, "kind": "tag", "target": "Team=x", "region": "us-east-1"}
    )

    form = page.context["form"]
    assert {name: form[name].value() for name in ("account", "kind", "target", "region", "expires_on")} == {
        "account": shop.account_id,
        "kind": "tag",
        "target": "Team=x",
        "region": "us-east-1",
        "expires_on": "2027-02-18",
    }
    assert 'value="2027-02-18"' in text(page)


def test_what_is_asked_for_waits_for_somebody_else(as_, shop):
    answer = as_("engineer").post(reverse("new_waiver"), typed(shop), follow=True)

    waiver = Waiver.objects.get()
    assert (waiver.state, waiver.target, str(waiver.expires_on)) == (WaiverState.REQUESTED, "web", "2027-01-31")
    assert answer.redirect_chain == [(reverse("waiver", args=[waiver.pk]), 302)]
    assert "You asked for this, so someone else must decide." in body(answer)


BAD = {
    "account": ({"account": "12"}, "An account is its 12 digits"),
    "another's account": ({"account": "999999999999"}, "There is no such account here"),
    "no day": ({"expires_on": "soon"}, "Write the day as 2027-02-20."),
    "a day that is over": ({"expires_on": "2026-11-01"}, "2026-11-01 is not in the future"),
    "too long": ({"expires_on": "2028-01-01"}, "A waiver lasts 365 days at most, so until 2027-11-20."),
    "no group": ({"target": "nobody"}, "No instance of shop belongs to an Auto Scaling group nobody now."),
    "no instance": ({"kind": "instance", "target": "i-9"}, "i-9 is not an instance of shop that is there now."),
    "a tag that is not kept": ({"kind": "tag", "target": "Cost=1"}, "The tag Cost is not kept here"),
    "no kind": ({"kind": "everything"}, "Select a valid choice."),
    "no reason": ({"reason": ""}, "“Why can it not be enforced yet?” is empty"),
}


@pytest.mark.parametrize(("fields", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_makes_no_sense_is_told_and_nothing_typed_is_lost(as_, shop, fields, sentence):
    sent = typed(shop) | fields

    answer = as_("engineer").post(reverse("new_waiver"), sent)

    assert answer.status_code == 409
    assert sentence in body(answer)
    kept = {name: answer.context["form"][name].value() for name in sent}
    assert kept == sent
    assert not Waiver.objects.exists()


def test_an_account_that_one_may_not_see_is_as_good_as_none(client, shop):
    mine = factories.account()
    client.force_login(factories.user("someone", Role.ENGINEER, account=mine))

    answer = client.post(reverse("new_waiver"), typed(shop))

    assert "There is no such account here, or none that you may see." in body(answer)
    assert shop.name not in text(answer)


def test_the_same_twice_names_the_first(as_, shop, author):
    first = factories.waiver(shop, by=author, kind="asg", target="web")

    answer = as_("engineer").post(reverse("new_waiver"), typed(shop))

    assert f"Waiver {first.pk} for group web waits for a decision already." in body(answer)


@pytest.mark.parametrize(("person", "there"), [("engineer", True), ("viewer", False), ("approver", False)])
def test_an_account_and_an_instance_lead_to_the_form_for_who_may_ask(as_, shop, person, there):
    row, client = shop.instances.get(), as_(person)

    account = text(client.get(reverse("account", args=[shop.account_id])))
    instance = text(client.get(reverse("instance", args=[row.pk])))

    form = f"/waivers/new/?account={shop.account_id}&amp;kind="
    assert (f"{form}account" in account) == there
    assert (f"{form}instance&amp;target={row.instance_id}" in instance) == there


# --- the list ------------------------------------------------------------------------------------------


def test_the_list_has_mine_first_then_what_ends_first_with_what_each_covers_now(as_, shop, author, decider):
    people = {"by": author, "decided_by": decider}
    waiting = factories.waiver(shop, by=author, kind="tag", target="Team=x")
    factories.waiver(shop, **people, kind="account", expires_on=TODAY + timedelta(days=80))
    factories.waiver(shop, **people, kind="asg", target="web", expires_on=TODAY + timedelta(days=10))
    client = as_("approver")

    told = words(client.get(reverse("waivers")))

    mine, _, active = told.partition("Active 2, what ends first on top")
    assert "Yours to decide 1" in mine
    assert "Waivers 1 waiting for you" in told
    assert f"Review waiver {waiting.pk}" in mine
    assert active.index("group web") < active.index("the whole account")
    assert "1 instance 0 of status waived 2026-11-30 10 days left" in active


@pytest.mark.parametrize(("person", "there"), [("approver", True), ("engineer", False)])
def test_the_overview_names_what_waits_for_the_person(as_, shop, author, person, there):
    waiver = factories.waiver(shop, by=author, kind="account")

    told = words(as_(person).get(reverse("overview")))

    assert (f"Decide on waiver {waiver.pk} shop, asked for by author" in told) == there


def test_who_asked_finds_it_under_others(as_, cast, shop):
    factories.waiver(shop, by=cast["admin"], kind="account")

    told = words(as_("admin").get(reverse("waivers")))

    assert "Yours to decide 0" in told
    assert "Waiting for others 1" in told


FILTERS = {
    "active": ({}, ["asg"]),
    "over": ({"show": "over"}, ["tag"]),
    "all": ({"show": "all"}, ["asg", "instance", "tag"]),
    "of a kind": ({"show": "all", "kind": "tag"}, ["tag"]),
    "by its target": ({"show": "all", "q": "I-77"}, ["instance"]),
    "by its account": ({"show": "all", "q": "shop"}, ["asg", "instance", "tag"]),
    "nonsense": ({"show": "x", "kind": "y", "page": "z"}, ["asg"]),
}


@pytest.mark.parametrize(("query", "kinds"), FILTERS.values(), ids=FILTERS.keys())
def test_the_list_is_filtered(as_, shop, both, query, kinds):
    factories.waiver(shop, **both, kind="asg", target="web")
    factories.waiver(shop, by=both["by"], target="i-77")
    factories.waiver(shop, by=both["by"], kind="tag", target="Team=x", state="withdrawn", closed_at=NOW)

    page = as_("viewer").get(reverse("waivers"), query)

    assert sorted(row.waiver.kind for row in page.context["rows"]) == kinds


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(
    client, django_assert_num_queries, author, decider, rows
):
    for _ in range(rows):
        account = factories.account()
        factories.waiver(account, by=author, target="i-1")
        factories.waiver(account, by=author, decided_by=decider, target="i-2")
    client.force_login(factories.user("someone", Role.APPROVER))

    with django_assert_num_queries(15):
        client.get(reverse("waivers"))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_waiver_costs_the_same_queries_with_one_predecessor_and_with_three(
    client, django_assert_num_queries, shop, both, rows
):
    waiver = factories.waiver(shop, **both, target="i-1")
    for _ in range(rows):
        factories.waiver(shop, **both, target="i-1", state="ended", closed_at=NOW)
    client.force_login(factories.user("someone", Role.APPROVER))

    with django_assert_num_queries(13):
        client.get(reverse("waiver", args=[waiver.pk]))


def test_a_waiver_of_an_account_that_one_may_not_see_is_not_there(client, shop, author):
    waiver = factories.waiver(shop, by=author, kind="account")
    client.force_login(factories.user("someone", Role.ADMIN, account=factories.account()))

    assert client.get(reverse("waiver", args=[waiver.pk])).status_code == 404
    assert client.post(reverse("approve_waiver", args=[waiver.pk]), {"version": 0}).status_code == 404
    assert "Yours to decide 0" in words(client.get(reverse("waivers")))


def test_what_people_and_aws_typed_is_escaped(as_, shop, author):
    shop.name = HOSTILE
    shop.save()
    waiver = factories.waiver(shop, by=author, kind="asg", target=HOSTILE, reason=HOSTILE)
    client = as_("admin")

    for url in (reverse("waivers"), reverse("waiver", args=[waiver.pk]), reverse("new_waiver")):
        assert HOSTILE not in text(client.get(url))


# --- deciding, ending, renewing ------------------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch):
    """The waivers whose Regions are judged soon."""
    found: list[int] = []
    monkeypatch.setattr("migration.views.waivers.judge_soon", lambda waiver: found.append(waiver.pk))
    return found


def test_an_approver_reads_how_many_instances_until_when_and_approves(as_, shop, author, judged):
    waiver = factories.waiver(shop, by=author, kind="asg", target="web")
    client = as_("approver")
    page = body(client.get(reverse("waiver", args=[waiver.pk])))
    assert "Approving leaves 1 instance of shop out of enforcement until 2027-02-18" in page

    client.post(reverse("approve_waiver", args=[waiver.pk]), {"comment": "until May", "version": 0})

    waiver.refresh_from_db()
    assert (waiver.state, waiver.comment, judged) == (WaiverState.ACTIVE, "until May", [waiver.pk])


def test_a_rejection_needs_a_word_and_keeps_the_form(as_, shop, author):
    waiver = factories.waiver(shop, by=author, kind="account")

    answer = as_("approver").post(reverse("reject_waiver", args=[waiver.pk]), {"comment": " ", "version": 0})

    waiver.refresh_from_db()
    assert (answer.status_code, waiver.state) == (409, WaiverState.REQUESTED)
    assert "Say why you reject it" in body(answer)


@pytest.mark.parametrize("name", ["approve_waiver", "reject_waiver"])
def test_a_page_that_is_old_decides_nothing_and_keeps_the_comment(as_, shop, author, name):
    waiver = factories.waiver(shop, by=author, kind="account", version=1)

    answer = as_("approver").post(reverse(name, args=[waiver.pk]), {"comment": "typed words", "version": 0})

    assert answer.status_code == 409
    assert "so nothing was changed by you." in body(answer)
    assert "typed words" in body(answer)


def test_who_asked_is_not_offered_the_decision_and_cannot_take_it(as_, cast, shop):
    waiver = factories.waiver(shop, by=cast["admin"], kind="account")
    client, url = as_("admin"), reverse("approve_waiver", args=[waiver.pk])
    assert url not in text(client.get(reverse("waiver", args=[waiver.pk])))

    answer = client.post(url, {"comment": "", "version": 0})

    assert "You asked for this waiver, so somebody else must decide on it." in body(answer)
    assert Waiver.objects.get().state == WaiverState.REQUESTED


def test_it_is_ended_with_a_reason_and_without_one_not(as_, shop, author, decider, judged):
    waiver = factories.waiver(shop, by=author, decided_by=decider, kind="account")
    client, url = as_("engineer"), reverse("end_waiver", args=[waiver.pk])

    without = client.post(url, {"reason": "", "version": 0})
    with_one = client.post(url, {"reason": "It is fixed.", "version": 0}, follow=True)

    assert "“Why does it end now?” is empty" in body(without)
    assert "It is over. It is fixed." in body(with_one)
    assert judged == [waiver.pk]


@pytest.mark.parametrize(("name", "state"), [("end_waiver", "active"), ("withdraw_waiver", "requested")])
def test_a_page_that_is_old_ends_nothing(as_, shop, both, name, state):
    people = both if state == "active" else {"by": both["by"]}
    waiver = factories.waiver(shop, **people, kind="account", version=1)

    answer = as_("engineer").post(reverse(name, args=[waiver.pk]), {"reason": "It is fixed.", "version": 0})

    assert (answer.status_code, Waiver.objects.get().state) == (409, state)


def test_more_time_is_asked_for_and_the_old_page_links_to_the_question(as_, shop, author, decider):
    waiver = factories.waiver(shop, by=author, decided_by=decider, kind="account")
    client, sent = as_("engineer"), {"expires_on": "2027-05-31", "reason": "The fix is late."}

    answer = client.post(reverse("renew_waiver", args=[waiver.pk]), sent, follow=True)

    renewal = Waiver.objects.get(renews=waiver)
    assert answer.redirect_chain[0][0] == reverse("waiver", args=[renewal.pk])
    assert "renewal 1" in words(client.get(reverse("waivers")))
    page = text(client.get(reverse("waiver", args=[waiver.pk])))
    assert f'<a href="{reverse("waiver", args=[renewal.pk])}">Waiver {renewal.pk}</a> asks for more time' in page
    assert reverse("renew_waiver", args=[waiver.pk]) not in page


def test_a_renewal_that_is_refused_keeps_what_was_typed(as_, shop, author, decider):
    waiver = factories.waiver(shop, by=author, decided_by=decider, kind="account")
    sent = {"expires_on": "2026-12-01", "reason": "typed words"}

    answer = as_("engineer").post(reverse("renew_waiver", args=[waiver.pk]), sent)

    assert answer.status_code == 409
    assert "a renewal has to last longer" in body(answer)
    assert ("typed words" in body(answer), 'value="2026-12-01"' in text(answer)) == (True, True)


ENDINGS = {
    WaiverState.REJECTED: "Rejected by decider. Nothing was waived by it.",
    WaiverState.WITHDRAWN: "Withdrawn before it was decided. Nothing was waived by it.",
    WaiverState.EXPIRED: "It is over. Its last day was over.",
}


@pytest.mark.parametrize(("state", "said"), ENDINGS.items())
def test_one_that_is_over_says_how_it_ended(as_, shop, both, state, said):
    people = both if state != WaiverState.WITHDRAWN else {"by": both["by"]}
    ended = {"state": state, "closed_at": NOW, "closed_because": "Its last day was over."}
    waiver = factories.waiver(shop, **people, kind="account", **ended)

    assert said in body(as_("viewer").get(reverse("waiver", args=[waiver.pk])))


# --- in every total ------------------------------------------------------------------------------------


def test_the_executive_reads_how_many_are_waived_until_when_and_how_often_renewed(as_, shop, author, decider):
    factories.instance(shop, status=Status.WAIVED)
    first = factories.waiver(shop, by=author, decided_by=decider, kind="account", state="ended", closed_at=NOW)
    factories.waiver(
        shop, by=author, decided_by=decider, kind="account", renews=first, renewals=1, since=NOW - timedelta(days=100)
    )

    told = words(as_("viewer").get(reverse("executive")))

    assert "Waived, until 2027-02-18 at most 1" in told
    assert (
        "1 instance by 1 waiver, which end from 2027-02-18 to 2027-02-18; the oldest holds since 2026-08-12, "
        "the most renewed was renewed 1 time."
    ) in told


@pytest.mark.parametrize("name", ["overview", "accounts"])
def test_what_is_waived_is_named_in_the_totals_and_left_to_do(as_, shop, name):
    factories.instance(shop, status=Status.WAIVED)
    factories.instance(shop, status=Status.ENFORCED)

    page = text(as_("viewer").get(reverse(name)))

    assert "1 waived" in page
    assert "1 of 3" in page
