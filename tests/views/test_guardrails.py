"""The guardrails page: the text, what it would break for whom, the file, and what is wrong in a sentence."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from migration.enums import LaunchAnswer, LaunchSourceKind, Role, RoleState, Status
from migration.models import Account, LaunchReading, LaunchTemplate, RegionDefaults
from migration.queries import guardrails as queries
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import ESCAPED, HOSTILE
from tests.views.test_quality import words

pytestmark = pytest.mark.django_db
BREAKS, UNKNOWN, GOES_ON = "Breaks", "Not known", "Goes on"


def way(tokens: str | None = "optional", level: str = "launch", **more: Any) -> dict[str, Any]:
    """A launch as `domain.sources` stores it."""
    options = {
        name: {"value": value, "level": "base"}
        for name, value in (("hop_limit", 1), ("endpoint", "enabled"), ("ipv6", "disabled"), ("tags", "disabled"))
    }
    return {"counts": True, "options": options | {"tokens": {"value": tokens, "level": level}}} | more


def read(account: Account, region: str = "us-east-1", **defaults: Any):
    """A scope that was read whole."""
    scope = factories.scope(account, region)
    LaunchReading.objects.create(scope=scope, tried_at=NOW, read_at=NOW)
    RegionDefaults.objects.create(scope=scope, read_at=NOW, **defaults)
    return scope


def source(account: Account, name: str, *ways: dict[str, Any], **fields: Any):
    fields.setdefault("answer_now", LaunchAnswer.V1_ALLOWED)
    fields.setdefault("instances_30d", 4)
    return factories.launch_source(account, name=name, resolution=list(ways) or [way()], **fields)


@pytest.fixture
def account():
    found = factories.account(name="payments", role_state=RoleState.OK)
    read(found, http_tokens="optional", http_put_response_hop_limit=3)
    return found


def ask(as_, who: str = "viewer", **query: Any):
    return as_(who).get(reverse("guardrails"), query)


def shown(as_, who: str = "viewer", **query: Any) -> str:
    return words(ask(as_, who, **query))


# --- the text -------------------------------------------------------------------------------------------------


def test_without_a_question_it_shows_the_declarative_policy(as_, account):
    told = shown(as_)

    assert "Declarative policy of the organization" in told
    assert '"http_tokens": { "@@assign": "required" }' in told


def test_every_kind_is_offered_and_written(as_, account):
    page = ask(as_)

    for kinds in page.context["offered"].values():
        for kind, title in kinds:
            answer = ask(as_, kind=kind)
            assert (answer.status_code, answer.context["made"].title) == (200, title)
            assert answer.context["made"].text.strip()


def test_the_options_are_in_the_text_and_stay_in_the_form(as_, account):
    answer = ask(as_, kind="deny-launch", hop="2", role="ops/break-glass", tag="imds-exempt=true", attach="iam")

    made = json.loads(answer.context["made"].text)["Statement"]
    assert made[0]["Condition"]["ArnNotLike"] == {"aws:PrincipalArn": "arn:aws:iam::*:role/ops/break-glass"}
    assert made[0]["Condition"]["StringNotEquals"]["aws:RequestTag/imds-exempt"] == "true"
    page = answer.content.decode()
    for value in ("ops/break-glass", "imds-exempt=true", "2"):
        assert f'value="{value}"' in page
    assert "An IAM policy binds only the users and roles" in words(answer)


def test_the_accounts_partition_is_the_texts(as_):
    one = factories.account(partition="aws-us-gov")

    answer = ask(as_, kind="deny-opt-out", account=one.account_id, partition="aws")

    assert "arn:aws-us-gov:ec2:*:*:instance/*" in answer.context["made"].text


def test_each_region_that_is_collected_is_in_the_commands_and_the_undo_is_what_was_read(as_, account):
    read(account, "eu-west-1")

    answer = ask(as_, kind="cli-defaults", account=account.account_id, enforced="1", hop="2")

    undo = answer.context["made"].undo
    assert "--region eu-west-1" in answer.context["made"].text
    assert "--region us-east-1 \\\n  --http-tokens optional --http-put-response-hop-limit 3" in undo
    assert "--region eu-west-1 \\\n  --http-tokens no-preference --http-put-response-hop-limit -1" in undo
    assert "not known here" not in undo


def test_an_instance_that_is_known_brings_its_region_and_its_own_undo(as_, account):
    row = factories.instance(account, "eu-west-1", http_put_response_hop_limit=5, v1_calls_window=3)

    answer = ask(as_, kind="cli-instance", name=row.instance_id, hop="2")

    assert "--region eu-west-1" in answer.context["made"].text
    assert "--http-tokens optional --http-put-response-hop-limit 5" in answer.context["made"].undo
    assert f"{BREAKS} 1 instance called IMDSv1 in the window" in words(answer)


def test_the_file_is_plain_text_with_the_undo_as_a_comment(as_, account):
    answer = ask(as_, kind="cli-defaults", account=account.account_id, format="text")

    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="defaults.sh"'
    commands = [line for line in answer.content.decode().splitlines() if line.startswith("aws")]
    assert [line.split()[2] for line in commands] == [
        "get-instance-metadata-defaults",
        "modify-instance-metadata-defaults",
    ]
    assert "# aws ec2 modify-instance-metadata-defaults --region us-east-1" in answer.content.decode()


def test_the_link_to_the_file_asks_for_what_is_on_the_page(as_, account):
    page = ask(as_, kind="deny-launch", hop="2").content.decode()

    assert 'href="?kind=deny-launch&amp;hop=2&amp;format=text"' in page


# --- what it would break --------------------------------------------------------------------------------------


def test_it_tells_which_launches_would_fail(as_, account):
    source(account, "web")

    told = shown(as_, kind="declarative", enforced="1")

    assert f"{BREAKS} 1 launch source would fail to launch" in told
    assert "web Auto Scaling group · payments · us-east-1 · 4 instances in 30 days" in told


def test_a_launch_that_leaves_the_tokens_to_the_default_does_not_fail_with_it(as_, account):
    source(account, "web", way("optional", "base"))

    assert "would fail to launch" not in shown(as_, kind="declarative", enforced="1")


def test_launches_that_do_not_count_are_not_counted(as_, account):
    source(account, "web", way("required"), way("optional", counts=False), answer_now=LaunchAnswer.SAFE)

    assert f"{GOES_ON} 1 launch source launches as safely as today" in shown(as_, kind="declarative", enforced="1")


def test_sources_that_are_gone_launch_nothing(as_, account):
    source(account, "web", gone_at=NOW)

    assert "would fail to launch" not in shown(as_, kind="declarative", enforced="1")


def test_only_the_regions_that_are_named_are_looked_at(as_, account):
    source(account, "web", region="us-east-1")

    assert "web" not in shown(as_, kind="cli-defaults", enforced="1", regions="eu-west-1").split("What it would")[1]
    assert "web" in shown(as_, kind="cli-defaults", enforced="1", regions="us-east-1").split("What it would")[1]


def test_stopped_instances_are_counted_for_what_they_are(as_, account):
    factories.instance(account, instance_state="stopped")
    factories.instance(account, instance_state="stopped", http_tokens="required", status=Status.ENFORCED)
    factories.instance(account, instance_state="stopped", http_endpoint="disabled", status=Status.IMDS_OFF)

    assert "1 stopped instance that allows IMDSv1 can still be started" in shown(as_, kind="deny-launch")


def test_credentials_break_where_a_role_is_whatever_the_status_says(as_, account):
    arn = "arn:aws:iam::111122223333:instance-profile/web"
    measured: dict[str, Any] = {"measured_days": 14, "window_days": 14, "instance_profile_arn": arn}
    factories.instance(account, status=Status.WAIVED, v1_calls_window=9, instance_profile_arn=arn)
    factories.instance(account, status=Status.IN_USE, v1_calls_window=9)
    factories.instance(account, status=Status.ENFORCED, v1_calls_window=9, instance_profile_arn=arn)
    factories.instance(account, status=Status.READY, v1_calls_window=0, **measured)
    factories.instance(account, status=Status.REGRESSED, v1_calls_window=0, **measured | {"measured_days": 13})
    factories.instance(account, status=Status.UNKNOWN, v1_calls_window=None, **measured)
    factories.instance(account, status=Status.MANAGED, v1_calls_window=None, **measured)
    factories.instance(account, status=Status.GONE, v1_calls_window=9, gone_at=NOW, instance_profile_arn=arn)

    told = shown(as_, kind="deny-v1-credentials")

    assert f"{BREAKS} 1 instance with a role called IMDSv1 in the window" in told
    assert "Whether 2 instances with a role call IMDSv1 is not known yet" in told
    assert "1 instance with a role made no IMDSv1 call" in told
    assert "1 instance with a role refuses IMDSv1 already" in told


def test_a_template_is_judged_by_what_it_launched(as_, account):
    LaunchTemplate.objects.create(
        account=account,
        region="us-east-1",
        template_id="lt-1",
        name="web",
        default_version=1,
        latest_version=1,
        seen_at=NOW,
    )
    factories.instance(account, launch_template_id="lt-1", v1_calls_window=1)
    factories.instance(account, v1_calls_window=1)

    assert f"{BREAKS} 1 instance launched from it called IMDSv1" in shown(as_, kind="terraform-template", name="web")


def test_a_default_that_a_policy_holds_is_said(as_, account):
    RegionDefaults.objects.update(managed_by="declarative-policy")

    assert "In 1 account-Region a declarative policy holds the defaults" in shown(as_, kind="terraform-defaults")


def test_a_default_that_turns_imds_off_is_not_opened_in_silence(as_, account):
    RegionDefaults.objects.update(http_endpoint="disabled")

    assert "In 1 account-Region the default turns IMDS off" in shown(as_, kind="terraform-defaults")


# --- what is not known -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["declarative", "deny-launch", "terraform-instance", "deny-v1-credentials"])
def test_an_empty_installation_calls_nothing_safe(as_, kind):
    told = shown(as_, kind=kind)

    assert UNKNOWN in told
    assert GOES_ON not in told


def test_an_account_that_cannot_be_entered_is_unknown_and_not_unharmed(as_, account):
    shut = factories.account(role_state=RoleState.DENIED)
    factories.scope(shut)
    factories.account(role_state=RoleState.OK)

    told = shown(as_, kind="deny-opt-out")

    assert "2 accounts cannot be read, or were not yet" in told


def test_scopes_whose_launches_were_not_read_whole_are_said(as_, account):
    scope = factories.scope(account, "eu-west-1")
    LaunchReading.objects.create(scope=scope, tried_at=NOW, read_at=NOW - timedelta(days=1))

    assert "In 1 of 2 account-Regions launch sources were not read whole" in shown(as_, kind="declarative")


def test_sources_beyond_the_first_are_not_forgotten(as_, account, monkeypatch):
    monkeypatch.setattr(queries, "SIMULATED", 1)
    source(account, "web")
    source(account, "api")

    assert "1 more launch source was not looked at here" in shown(as_, kind="declarative", enforced="1")


# --- who sees what, and what is wrong ---------------------------------------------------------------------------


def test_only_visible_accounts_are_looked_at(client, account):
    other = factories.account(name="other", role_state=RoleState.OK)
    read(other, "ap-south-1")
    source(account, "mine")
    source(other, "theirs", region="ap-south-1")
    factories.instance(other, "ap-south-1", name="secret", instance_id="i-0aaaaaaaaaaaaaaa1")
    client.force_login(factories.user("someone", Role.VIEWER, account=account))

    told = words(client.get(reverse("guardrails"), {"kind": "cli-defaults", "enforced": "1"}))
    asked = client.get(reverse("guardrails"), {"account": other.account_id})
    named = client.get(reverse("guardrails"), {"kind": "cli-instance", "name": "i-0aaaaaaaaaaaaaaa1"})

    assert ("mine" in told, "theirs" in told, "ap-south-1" in told) == (True, False, False)
    assert (asked.status_code, "none that you may see" in words(asked)) == (400, True)
    assert "No instance i-0aaaaaaaaaaaaaaa1 was read" in words(named)
    assert "ap-south-1" not in named.context["made"].text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"kind": "nonsense"}, "There is no such text."),
        ({"account": "12"}, "An account is its 12 digits"),
        ({"account": "000000000000"}, "There is no such account here"),
        ({"hop": "many"}, "A hop limit is a number from 1 to 64."),
        ({"hop": "99"}, "A hop limit is a number from 1 to 64."),
        ({"tokens": "perhaps"}, "Tokens are required, optional, or no preference."),
        ({"kind": "cli-instance", "name": "web"}, "is not the id of an instance"),
        ({"kind": "cli-defaults", "regions": "mars"}, "“mars” is not a Region"),
        ({"kind": "deny-launch", "role": "*"}, "The exempt role is named by its name"),
        ({"kind": "deny-launch", "tag": "=x"}, "The exempt tag is written Key=Value"),
        ({"kind": "deny-launch", "attach": "glue"}, "an SCP or as an IAM policy"),
        ({"kind": "deny-launch", "partition": "aws-mars"}, "is not a partition"),
        ({"kind": "terraform-template", "name": "a\x00b"}, "Null characters"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_no_text_is_shown(as_, account, query, sentence):
    for more in ({}, {"format": "text"}):
        answer = ask(as_, **query, **more)

        assert answer.status_code == 400
        assert sentence in words(answer)
        assert "made" not in answer.context


def test_what_was_typed_and_what_aws_says_is_text_and_nothing_else(as_, account):
    Account.objects.update(name=HOSTILE)
    source(account, HOSTILE)
    factories.instance(account, name=HOSTILE, status_reason=HOSTILE)

    for query in ({"kind": "declarative", "enforced": "1"}, {"kind": "terraform-instance", "name": HOSTILE}):
        page = ask(as_, **query).content.decode()
        assert ("<script>alert" in page, ESCAPED in page) == (False, True)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("declarative", 14),
        ("cli-defaults", 14),
        ("deny-launch", 13),
        ("deny-opt-out", 10),
        ("deny-v1-credentials", 11),
        ("terraform-template", 11),
        ("cli-instance", 11),
    ],
)
def test_the_page_costs_the_same_queries_for_few_accounts_and_for_many(client, django_assert_num_queries, kind, count):
    client.force_login(factories.user("someone", Role.VIEWER))
    query = {"kind": kind, "name": "i-0123456789abcdef0" if kind == "cli-instance" else "web"}
    for number in range(4):
        one = factories.account(role_state=RoleState.OK)
        read(one, f"eu-west-{number + 1}")
        source(one, f"web-{number}", kind=LaunchSourceKind.TEMPLATE)
        factories.instance(one)
        if number in {0, 3}:
            with django_assert_num_queries(count):
                client.get(reverse("guardrails"), query)
