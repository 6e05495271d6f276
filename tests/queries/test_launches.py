"""What would launch an instance's successor."""

import pytest

from migration.enums import LaunchAnswer, LaunchSourceKind
from migration.queries.launches import comes_back
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
V1, SAFE = LaunchAnswer.V1_ALLOWED, LaunchAnswer.SAFE


def way(version: int, answer: LaunchAnswer) -> dict[str, object]:
    return {"version": version, "now": answer, "enforced": "fails" if answer == V1 else answer}


def test_a_member_comes_back_as_its_group_launches_now(django_assert_num_queries):
    account = factories.account()
    factories.launch_source(account, name="web", answer_now=V1)

    with django_assert_num_queries(1):
        found = comes_back(account.pk, "us-east-1")

    back = found.of("web", "lt-1", "3")
    assert (back.answer_now, back.answer_enforced, back.shown) == (V1, LaunchAnswer.FAILS, "Auto Scaling group web")


def test_without_a_group_it_comes_back_as_its_own_template_version():
    account = factories.account()
    factories.launch_source(
        account,
        kind=LaunchSourceKind.TEMPLATE,
        source_id="lt-1",
        name="tools",
        resolution=[way(2, SAFE), way(1, V1)],
    )

    found = comes_back(account.pk, "us-east-1")

    assert found.of("", "lt-1", "1").answer_now == V1
    assert found.of("", "lt-1", "2").answer_now == SAFE
    assert found.of("", "lt-1", "2").shown == "Launch template tools, version 2"


def test_what_nothing_known_launches_does_not_come_back():
    account, other = factories.account(), factories.account()
    factories.launch_source(account, name="gone", answer_now=V1, gone_at=NOW)
    factories.launch_source(account, name="elsewhere", region="eu-west-1", answer_now=V1)
    factories.launch_source(other, name="theirs", answer_now=V1)

    found = comes_back(account.pk, "us-east-1")

    assert [found.of(name) for name in ("gone", "elsewhere", "theirs", "")] == [None] * 4
    assert found.of("", "lt-9", "1") is None
