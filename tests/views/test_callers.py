"""The page that says who calls."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from migration.models import Account, Caller
from migration.queries.callers import totals
from tests import factories
from tests.actions.test_callers import HEAD, row, take

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(cast):
    return factories.account(account_id="123456789012", name="shop")


def page(client, **query) -> str:
    return client.get(reverse("callers"), query).content.decode()


def test_what_to_upgrade_first_stands_first_with_its_source(shop, as_):
    take(HEAD + row() + row(agent="Boto3/1.9.0", instance="i-1111111111111111a"))
    text = page(as_("viewer"))

    assert "Upgrade the AWS CLI to 1.16.289 or newer." in text
    assert "AWS CLI 1 1.16.102 is older than 1.16.289, the first that prefers IMDSv2." in text
    assert "proves nothing" in text


def test_hostile_user_agents_are_text(shop, as_):
    take(HEAD + row(agent="<script>alert(1)</script>"))

    assert "<script>alert" not in page(as_("viewer"))


def test_a_file_is_taken_over_by_an_engineer(shop, as_):
    file = SimpleUploadedFile("r.csv", (HEAD + row()).encode())
    answer = as_("engineer").post(reverse("import_callers"), {"kind": "athena", "file": file}, follow=True)

    assert "Taken over: 1 callers, 7 calls." in answer.content.decode()
    assert Caller.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "athena"}, "Choose the file first."),
        ({"kind": "packet_analyzer", "file": "x"}, "say account, Region and instance."),
        ({"kind": "athena", "file": "a,b"}, "the columns recipientaccountid"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(shop, as_, fields, words):
    sent = fields | ({"file": SimpleUploadedFile("r.csv", fields["file"].encode())} if "file" in fields else {})
    answer = as_("engineer").post(reverse("import_callers"), sent, follow=True)

    text = answer.content.decode()
    assert words in text
    assert "Nothing was taken over" in text


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_costs_the_same_queries_for_one_row_and_for_three(shop, as_, django_assert_num_queries, rows):
    take(HEAD + "".join(row(agent=f"Boto3/1.9.{n}") for n in range(rows)))
    client = as_("viewer")
    with django_assert_num_queries(9):
        page(client)


def test_tags_ami_and_user_data_name_who_is_to_be_expected(shop, as_):
    one = factories.instance(
        shop, tags={"aws:elasticmapreduce:job-flow-id": "j-1"}, user_data_callers=["boto-2", "no-longer-there"]
    )
    text = as_("viewer").get(reverse("instance", args=[one.pk])).content.decode()

    assert "EMR before 5.32 and 6.2" in text
    assert "Replace boto 2 by boto3" in text


def test_the_instance_names_its_callers_and_when_it_calls(shop, as_):
    one = factories.instance(shop, instance_id="i-0123456789abcdef0")
    take(HEAD + row())
    text = as_("viewer").get(reverse("instance", args=[one.pk])).content.decode()

    assert "aws-cli/1.16.102 Python/2.7" in text
    assert "When it calls:" in text


def test_case_31_what_is_new_enough_is_not_told_to_upgrade_and_stands_last(shop, as_):
    one = factories.instance(shop, instance_id="i-0123456789abcdef0")
    modern = "".join(row(agent="Boto3/1.34.0", instance=f"i-{n:017x}") for n in range(3))
    take(HEAD + row(agent="Boto3/1.34.0") + modern + row(agent="aws-sdk-java/1.11.600", instance="i-1111111111111111a"))
    text = page(as_("viewer"))

    assert "Upgrade boto3" not in text
    assert "raise the hop limit" in text
    assert text.index("Upgrade the AWS SDK for Java") < text.index("raise the hop limit")
    assert "Upgrade boto3" not in as_("viewer").get(reverse("instance", args=[one.pk])).content.decode()


def test_callers_without_an_instance_count_as_no_instance(shop):
    take(HEAD + row(instance="") + row(agent="Boto3/1.9.0", instance=""))

    assert [(one.instances, one.upgrade) for one in totals(Account.objects.all())] == [(0, 0), (0, 0)]
