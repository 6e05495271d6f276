"""The brake as people meet it: a banner on every page, a button on the runs page, a word to type."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from migration.actions import brake
from migration.enums import Role
from migration.models import AuditEvent, Brake
from migration.queries.policies import brake_reason
from migration.views import confirming
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import HOSTILE, body, text

pytestmark = pytest.mark.django_db
SENTENCE = "The brake is on: nothing is written to AWS, anywhere."


@pytest.fixture
def pulled(cast):
    brake.pull(by=cast["engineer"], reason="Payments fails.", now=NOW)


@pytest.mark.parametrize("name", ["overview", "executive", "accounts", "runs", "waivers", "policies", "data_quality"])
def test_every_page_says_that_it_is_on_who_pulled_it_and_why(as_, world, pulled, name):
    assert f"{SENTENCE} Pulled by engineer just now: Payments fails." in body(as_("viewer").get(reverse(name)))


def test_no_page_says_so_while_it_is_off(as_, world):
    assert SENTENCE not in body(as_("viewer").get(reverse("runs")))


@pytest.mark.parametrize("on", [True, False])
def test_the_banner_costs_one_query(client, on):
    Brake.objects.create(pk=1, on=on, at=NOW, by=factories.user("someone"), reason="x")
    client.force_login(factories.user("vera", Role.ADMIN))

    with CaptureQueriesContext(connection) as seen:
        client.get(reverse("runs"))

    assert sum("migration_brake" in one["sql"] for one in seen) == 1


@pytest.mark.parametrize(
    ("name", "pull", "release"),
    [("viewer", False, False), ("engineer", True, False), ("approver", True, True), ("admin", True, True)],
)
def test_the_runs_page_offers_to_pull_it_and_the_banner_to_release_it(as_, cast, name, pull, release):
    client = as_(name)
    assert (reverse("pull_brake") in text(client.get(reverse("runs")))) == pull

    brake.pull(by=cast["engineer"], reason="x", now=NOW)

    page = text(client.get(reverse("runs")))
    assert (reverse("release_brake") in page, reverse("pull_brake") in page) == (release, False)


def test_it_is_pulled_with_a_reason(as_):
    answer = as_("engineer").post(reverse("pull_brake"), {"reason": "Payments fails."}, follow=True)

    assert answer.redirect_chain[0][0] == reverse("runs")
    assert brake_reason() == "The brake is on, pulled by engineer: Payments fails."
    assert SENTENCE in body(answer)


def test_it_is_not_pulled_without_one(as_):
    answer = as_("engineer").post(reverse("pull_brake"), {"reason": " "})

    assert (answer.status_code, brake_reason()) == (409, "")
    assert "Say why: it stands on every page" in body(answer)


@pytest.mark.parametrize("word", ["", "yes", "releas"])
def test_it_is_not_released_without_the_word_and_what_was_typed_stays(as_, pulled, word):
    answer = as_("approver").post(reverse("release_brake"), {"reason": "typed words", "typed": word})

    assert answer.status_code == 409
    assert "Type the word release" in body(answer)
    assert 'value="typed words"' in text(answer)
    assert brake_reason()


@pytest.mark.parametrize("word", ["release", " Release "])
def test_it_is_released_with_the_word(as_, pulled, word):
    answer = as_("approver").post(reverse("release_brake"), {"reason": "It was DNS.", "typed": word}, follow=True)

    assert (brake_reason(), SENTENCE in body(answer)) == ("", False)


def test_a_reason_never_becomes_markup(as_, cast):
    brake.pull(by=cast["engineer"], reason=HOSTILE, now=NOW)

    assert "<script>alert" not in as_("admin").get(reverse("runs")).content.decode()


# --- the password again ------------------------------------------------------------------------------------


@pytest.fixture
def long_ago(as_, cast, pulled, settings):
    """An approver whose last password is as long ago as it may not be."""
    cast["approver"].set_password("correct horse")
    cast["approver"].save()
    client = as_("approver")
    session = client.session
    session[confirming.KEY] = (NOW - timedelta(minutes=settings.IMDSDASH_REAUTH_MINUTES)).timestamp()
    session.save()
    return client


def release(client, **fields):
    return client.post(reverse("release_brake"), {"reason": "It was DNS.", "typed": "release"} | fields)


def test_the_banner_asks_for_the_password_again_where_it_is_long_ago(as_, long_ago):
    asked = 'id="brake-release-password"'
    assert asked in text(long_ago.get(reverse("runs")))
    assert asked not in text(as_("admin").get(reverse("runs")))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Give your password again"),
        ({"password": ""}, "Give your password again"),
        ({"password": "wrong"}, "The password is not right. Nothing was changed."),
    ],
)
def test_it_is_not_released_without_the_password_where_it_is_long_ago(long_ago, given, said):
    answer = release(long_ago, **given)

    assert (answer.status_code, said in body(answer)) == (409, True)
    assert 'value="It was DNS."' in text(answer)
    assert brake_reason()


def test_a_wrong_password_for_the_release_is_told_to_the_audit_log(long_ago):
    release(long_ago, password="wrong")

    event = AuditEvent.objects.get(verb="denied")
    assert (event.object_type, event.actor) == ("Brake", "approver")
    assert event.reason == "the password was wrong when it was asked for again"


def test_it_is_released_with_the_password_which_is_then_not_asked_for_again(long_ago):
    assert release(long_ago, password="correct horse").status_code == 302

    assert brake_reason() == ""
    assert long_ago.session[confirming.KEY] == NOW.timestamp()
