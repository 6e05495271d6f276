"""What was read of launch sources becomes rows, judged by the worker that still holds the scope."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from migration.actions import collection, launches
from migration.actions.collection import LeaseLost, ScopeClaim
from migration.actions.launches import Gap, Kind
from migration.domain.facts import DefaultsFact
from migration.domain.launch_facts import GroupFact, ImageFact, LaunchOptions, TemplateFact, TemplateUse, VersionFact
from migration.enums import GapKind, LaunchAnswer, LaunchSourceKind
from migration.models import AutoScalingGroup, Image, LaunchReading, LaunchSource, LaunchTemplate
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
EARLIER = NOW - timedelta(hours=6)
WEB = TemplateFact("lt-1", "web", default_version=1, latest_version=1)
GROUP = GroupFact("web", uses=(TemplateUse("lt-1", "web", "$Default"),))


@pytest.fixture
def claim() -> ScopeClaim:
    from migration.actions import inventory

    scope = factories.scope(factories.account())
    taken = collection.claim_scope(scope=scope, owner="me", now=NOW)
    assert taken is not None
    inventory.store_defaults(claim=taken, fact=DefaultsFact(), now=NOW)
    launches.record(claim=taken, whole=list(Kind), gaps=[], now=NOW)
    return taken


def overtaken(claim: ScopeClaim) -> ScopeClaim:
    """The scope is another worker's by now."""
    return ScopeClaim(claim.scope_id, claim.fence - 1, claim.account_pk, claim.account_id, claim.region)


def store(claim: ScopeClaim, options: LaunchOptions, image: ImageFact | None = None) -> None:
    launches.store_templates(claim=claim, facts=[WEB], seen_at=NOW)
    launches.store_versions(claim=claim, facts=[VersionFact("lt-1", 1, options, "ami-1")], seen_at=NOW)
    launches.store_groups(claim=claim, facts=[GROUP], seen_at=NOW)
    launches.store_images(claim=claim, facts=[image or ImageFact("ami-1", readable=True)], seen_at=NOW)


def the_group() -> LaunchSource:
    return LaunchSource.objects.get(kind=LaunchSourceKind.GROUP)


@pytest.mark.parametrize(
    "write",
    [
        lambda claim: launches.store_groups(claim=claim, facts=[GROUP], seen_at=NOW),
        lambda claim: launches.forget(claim=claim, kind=Kind.GROUPS, seen_at=NOW),
        lambda claim: launches.record(claim=claim, whole=[], gaps=[], now=NOW),
        lambda claim: launches.judge(claim=claim, now=NOW),
    ],
    ids=["store", "forget", "record", "judge"],
)
def test_a_worker_that_was_overtaken_writes_nothing(claim, write):
    store(claim, LaunchOptions())
    launches.judge(claim=claim, now=NOW)
    AutoScalingGroup.objects.update(seen_at=EARLIER)
    before = (
        list(LaunchSource.objects.values()),
        list(AutoScalingGroup.objects.values()),
        list(LaunchReading.objects.values()),
    )

    with pytest.raises(LeaseLost):
        write(overtaken(claim))

    assert before == (
        list(LaunchSource.objects.values()),
        list(AutoScalingGroup.objects.values()),
        list(LaunchReading.objects.values()),
    )


def test_an_ami_that_is_not_readable_says_nothing_of_v2(claim):
    with pytest.raises(IntegrityError), transaction.atomic():
        launches.store_images(claim=claim, facts=[ImageFact("ami-1", readable=False, imds_support="v2.0")], seen_at=NOW)

    assert not Image.objects.exists()


def test_a_later_page_changes_what_it_tells_of_and_no_other_account(claim):
    store(claim, LaunchOptions())
    other = factories.account()
    LaunchTemplate.objects.create(
        account=other, region=claim.region, template_id="lt-1", name="theirs", default_version=1, latest_version=1,
        seen_at=EARLIER,
    )  # fmt: skip

    launches.store_templates(claim=claim, facts=[TemplateFact("lt-1", "web", 1, 9)], seen_at=NOW)
    launches.forget(claim=claim, kind=Kind.TEMPLATES, seen_at=NOW)

    found = LaunchTemplate.objects.order_by("name").values_list("name", "latest_version")
    assert list(found) == [("theirs", 1), ("web", 9)]


def test_a_source_that_comes_again_is_there_again(claim):
    store(claim, LaunchOptions())
    launches.judge(claim=claim, now=NOW)
    LaunchSource.objects.update(gone_at=EARLIER)

    launches.judge(claim=claim, now=NOW)

    assert the_group().gone_at is None


def test_a_source_that_is_long_gone_is_forgotten(claim):
    account = LaunchReading.objects.get().scope.account
    factories.launch_source(account, name="lately", gone_at=NOW - timedelta(days=89))
    factories.launch_source(account, name="long", gone_at=NOW - timedelta(days=91))

    launches.judge(claim=claim, now=NOW)

    assert list(LaunchSource.objects.values_list("name", flat=True)) == ["lately"]


def test_a_gap_does_not_take_away_when_a_kind_was_last_read_whole(claim):
    gap = Gap(Kind.GROUPS, GapKind.DENIED, "UnauthorizedOperation")

    launches.record(claim=claim, whole=[Kind.IMAGES], gaps=[gap], now=NOW + timedelta(hours=6))

    row = LaunchReading.objects.get()
    assert (row.read_at, row.tried_at) == (NOW, NOW + timedelta(hours=6))
    assert row.kinds[Kind.GROUPS] == NOW.isoformat()
    assert row.kinds[Kind.IMAGES] == (NOW + timedelta(hours=6)).isoformat()
    assert row.gaps == [{"kind": "Auto Scaling groups", "gap": "denied", "message": "UnauthorizedOperation"}]


def test_the_worst_is_first_and_what_a_service_keeps_is_last(claim):
    store(claim, LaunchOptions())
    kept = GroupFact("eks", uses=GROUP.uses, provider="Amazon EKS")
    launches.store_groups(claim=claim, facts=[kept], seen_at=NOW)

    launches.judge(claim=claim, now=NOW)

    rows = LaunchSource.objects.filter(kind=LaunchSourceKind.GROUP).order_by("severity")
    assert list(rows.values_list("name", "answer_now")) == [
        ("web", LaunchAnswer.V1_ALLOWED),
        ("eks", LaunchAnswer.V1_ALLOWED),
    ]


def test_a_default_kept_by_a_declarative_policy_is_not_advised_to_be_set_by_hand(claim):
    from migration.actions import inventory

    policy = DefaultsFact(
        http_tokens="optional", managed_by="declarative-policy", managed_exception_message="Ask #platform."
    )
    inventory.store_defaults(claim=claim, fact=policy, now=NOW)
    store(claim, LaunchOptions())

    launches.judge(claim=claim, now=NOW)

    assert "ModifyInstanceMetadataDefaults" not in the_group().advice
    assert "have the declarative policy that sets the account default in us-east-1 say required" in the_group().advice
    assert "It says: Ask #platform." in the_group().advice


def test_the_advice_says_that_running_instances_keep_their_options(claim):
    store(claim, LaunchOptions(http_tokens="optional"))

    launches.judge(claim=claim, now=NOW)

    assert "Running instances keep their options until changed in place or replaced." in the_group().advice


@pytest.mark.parametrize("sources", [1, 3])
def test_judging_takes_the_same_queries_for_one_source_and_for_three(claim, django_assert_num_queries, sources):
    store(claim, LaunchOptions())
    facts = [GroupFact(f"web-{number}", uses=GROUP.uses) for number in range(sources)]
    launches.store_groups(claim=claim, facts=facts, seen_at=NOW)

    upsert = {"sqlite": 1, "postgresql": 4}[connection.vendor]
    with django_assert_num_queries(14 + upsert):
        launches.judge(claim=claim, now=NOW)
