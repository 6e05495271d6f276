"""The brake: one row that stops every write, with who and why; and who may let writes go on."""

import pytest

from migration.actions import brake
from migration.actions.errors import Refused
from migration.enums import Role
from migration.models import AuditEvent, Brake, Notification
from migration.queries.policies import brake_reason
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def arjun():
    return factories.user("arjun", Role.APPROVER)


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def test_it_is_off_until_somebody_pulls_it():
    assert brake_reason() == ""


def test_pulled_it_says_by_whom_and_why_and_released_nothing(arjun):
    brake.pull(by=arjun, reason=" Payments fails. ", now=NOW)
    assert brake_reason() == "The brake is on, pulled by arjun: Payments fails."

    brake.release(by=arjun, reason="It was DNS.", now=NOW)

    assert (brake_reason(), verbs()) == ("", ["brake.pulled", "brake.released"])
    assert list(AuditEvent.objects.order_by("seq").values_list("reason", flat=True)) == [
        "Payments fails.",
        "It was DNS.",
    ]


def test_the_command_line_pulls_and_releases_without_a_person():
    brake.pull(by=None, reason="x", now=NOW)
    assert brake_reason() == "The brake is on, pulled by the command line: x"

    brake.release(by=None, reason="y", now=NOW)

    assert brake_reason() == ""


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.APPROVER, Role.ADMIN])
def test_who_may_steer_a_run_anywhere_may_pull_it(role):
    person = factories.user("one", role, account=factories.account())

    brake.pull(by=person, reason="x", now=NOW)

    assert brake_reason()


def test_a_viewer_may_not_pull_it():
    with pytest.raises(Refused, match="needs the role Engineer or Approver"):
        brake.pull(by=factories.user("vera", Role.VIEWER), reason="x", now=NOW)

    assert (brake_reason(), verbs()) == ("", ["denied"])


@pytest.mark.parametrize(
    ("role", "over"), [(Role.ENGINEER, {}), (Role.VIEWER, {}), (Role.APPROVER, {"ou_path": "Root"})]
)
def test_only_an_approver_over_everything_releases_it(arjun, role, over):
    brake.pull(by=arjun, reason="x", now=NOW)

    with pytest.raises(Refused, match="needs the role Approver over everything"):
        brake.release(by=factories.user("other", role, **over), reason="y", now=NOW)

    assert (brake_reason() != "", verbs()) == (True, ["brake.pulled", "denied"])


def test_pulled_twice_the_first_reason_stays(arjun):
    brake.pull(by=arjun, reason="first", now=NOW)

    with pytest.raises(Refused, match="on already"):
        brake.pull(by=arjun, reason="second", now=NOW)

    assert (Brake.objects.get().reason, verbs()) == ("first", ["brake.pulled", "denied"])


def test_what_is_not_on_is_not_released(arjun):
    with pytest.raises(Refused, match="not on"):
        brake.release(by=arjun, reason="y", now=NOW)

    assert (Brake.objects.filter(on=True).exists(), verbs()) == (False, ["denied"])


@pytest.mark.parametrize("act", [brake.pull, brake.release])
def test_it_takes_a_reason_both_ways(arjun, act):
    Brake.objects.create(pk=1, on=act is brake.release)

    with pytest.raises(Refused, match="Say why"):
        act(by=arjun, reason="  ", now=NOW)

    assert (Brake.objects.get().on, verbs()) == (act is brake.release, ["denied"])


def test_people_are_told_both_times(arjun, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://example.com/hook"

    brake.pull(by=arjun, reason="x", now=NOW)
    brake.release(by=arjun, reason="y", now=NOW)

    told = Notification.objects.order_by("pk").values_list("kind", "severity", "path")
    assert list(told) == [("brake.pulled", "critical", "/runs/"), ("brake.released", "warning", "/runs/")]
