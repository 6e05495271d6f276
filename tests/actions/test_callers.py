"""Files that tell who calls: all of one or none of it, and the same one twice changes nothing."""

import io
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from migration.actions import callers
from migration.actions.errors import Refused
from migration.domain import athena, sightings
from migration.enums import FoundBy, Role
from migration.models import AuditEvent, Caller
from migration.queries.callers import v1_credentials
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
HEAD = "recipientaccountid,awsregion,role_arn,instance_id,useragent,eventsource,calls,last_seen\n"
ROLE = "arn:aws:iam::123456789012:role/web"


@pytest.fixture
def shop():
    return factories.account(account_id="123456789012", name="shop")


def row(**fields) -> str:
    told = {
        "account": "123456789012",
        "region": "us-east-1",
        "instance": "i-0123456789abcdef0",
        "agent": "aws-cli/1.16.102 Python/2.7",
        "calls": "7",
        "seen": "2026-11-18T03:00:00Z",
    } | fields
    return '{account},{region},{role},{instance},"{agent}",s3.amazonaws.com,{calls},{seen}\n'.format(role=ROLE, **told)


def take(text: str, *, by=None):
    return callers.import_sightings(told=sightings.athena(io.StringIO(text)), kind=FoundBy.ATHENA, by=by, now=NOW)


def test_a_result_of_athena_becomes_callers_with_what_is_known_of_them(shop):
    one = factories.instance(shop, instance_id="i-0123456789abcdef0")
    done = take(HEAD + row() + row(agent="Boto3/1.34.0", instance=""))

    assert (done.callers, done.sightings, done.accounts) == (2, 14, 1)
    found = Caller.objects.get(of=one)
    assert (found.known, found.calls, found.role_arn) == ("aws-cli-1", 7, ROLE)
    assert found.last_seen == datetime(2026, 11, 18, 3, tzinfo=UTC)
    assert AuditEvent.objects.get().verb == "callers.imported"


def test_the_same_file_twice_changes_nothing(shop):
    take(HEAD + row())
    before = list(Caller.objects.values())
    take(HEAD + row())

    assert list(Caller.objects.values()) == before


def test_a_newer_file_has_the_newer_numbers(shop):
    take(HEAD + row())
    take(HEAD + row(calls="9", seen="2026-11-19T03:00:00Z"))

    found = Caller.objects.get()
    assert (found.calls, found.last_seen.day, found.first_seen.day) == (9, 19, 18)


BAD = {
    "an account that is not looked after": (row(account="999999999999"), "999999999999 is no account"),
    "no account id": (row(account="12"), "line 2: '12' is no account id"),
    "no instance id": (row(instance="web-1"), "no instance id"),
    "no number": (row(calls="many"), "calls must be a number"),
    "no time": (row(seen="yesterday"), "last_seen a time"),
    "nothing": ("", "tells of no IMDSv1 call"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD.keys())
def test_a_file_with_one_bad_line_is_refused_whole(shop, text, words):
    with pytest.raises(Refused, match=words):
        take(HEAD + (row() if text else "") + text if words.startswith("9") else HEAD + text)

    assert not Caller.objects.exists()


def test_another_file_altogether_is_refused_by_its_columns(shop):
    with pytest.raises(Refused, match="the columns recipientaccountid"):
        take("a,b\n1,2\n")


def test_who_may_not_plan_for_an_account_takes_nothing_over_for_it(shop):
    with pytest.raises(Refused, match="your role does not reach shop"):
        take(HEAD + row(), by=factories.user("ellen", Role.ENGINEER, account=factories.account()))


CURL = "(pid:7:curl argv:curl -H X-aws-ec2-metadata-token: AQAAsecret== x)"
BASH = "(pid:6:bash argv:/bin/bash nightly.sh)"
LOG = f"""[2026-11-18T03:00:01] [INFO] IMDSv2 (pid:9:python argv:python ok.py) called by -> (pid:1:systemd argv:init)
[2026-11-18T03:00:02] [WARNING] IMDSv1(!) {CURL} called by -> {BASH}
[2026-11-18T04:00:02] [WARNING] IMDSv1(!) {CURL} called by -> {BASH}
[2026-11-18T04:00:03] [WARNING] IMDSv1(!) (pid:11 Unable to get argv information) called by -> (pid:1:init argv:init)
"""


def analyzed(text: str):
    told = sightings.analyzer(
        io.StringIO(text), account_id="123456789012", region="us-east-1", instance_id="i-0123456789abcdef0"
    )
    return callers.import_sightings(told=told, kind=FoundBy.ANALYZER, by=None, now=NOW)


def test_a_log_of_the_packet_analyzer_names_process_and_parents_and_keeps_no_token(shop):
    factories.instance(shop, instance_id="i-0123456789abcdef0")
    assert analyzed(LOG).callers == 2

    found = Caller.objects.get(process__startswith="curl")
    assert (found.calls, found.parents) == (2, ["/bin/bash nightly.sh"])
    assert Caller.objects.filter(process="process 11").exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM migration_caller")
        assert "AQAAsecret" not in repr(cursor.fetchall())


def test_a_log_without_imdsv1_is_refused_for_it_proves_nothing(shop):
    with pytest.raises(Refused, match="proves nothing about other hours"):
        analyzed(LOG.splitlines()[0])


def test_case_36_what_was_told_is_evidence_against_and_never_for(shop):
    quiet, loud = factories.instance(shop), factories.instance(shop, instance_id="i-0123456789abcdef0")
    take(HEAD + row())

    assert set(v1_credentials([quiet, loud])) == {loud.pk}


# --- the command, and the question -----------------------------------------------------------------------


def test_the_command_takes_a_file_over(shop, tmp_path):
    file = tmp_path / "result.csv"
    file.write_text(HEAD + row())
    out = io.StringIO()
    call_command("callers", "import", "--kind", "athena", "--file", str(file), stdout=out)

    assert "1 callers in 1 accounts taken over: 7 calls." in out.getvalue()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["import", "--kind", "athena", "--file", "/nowhere"], "cannot be read"),
        (["import", "--kind", "packet-analyzer", "--file", "-"], "give --account, --region, --instance"),
        (["query", "--table", "a; DROP TABLE b"], "A table is letters"),
        (["query", "--since", "soon"], "No question was written"),
    ],
)
def test_the_command_refuses_in_a_sentence(options, words):
    with pytest.raises(CommandError, match=words):
        call_command("callers", *options)


def test_case_37_the_question_goes_to_athena_with_the_days_as_partitions():
    asked = athena.query(since=datetime(2026, 11, 8, tzinfo=UTC).date())

    assert "ec2roledelivery = '1.0'" in asked
    assert "\"timestamp\" >= '2026/11/08'" in asked


@pytest.mark.parametrize("table", ["", "a b", "a'b", "a;b", "a.b.c", "1a"])
def test_a_table_that_is_none_is_refused(table):
    with pytest.raises(athena.BadName):
        athena.query(table=table, since=NOW.date())


# --- what files hold in the wild -------------------------------------------------------------------------


def test_an_older_file_takes_no_newer_numbers_back_and_tells_since_when(shop):
    take(HEAD + row(calls="9", seen="2026-11-19T03:00:00Z"))
    take(HEAD + row(calls="7", seen="2026-11-18T03:00:00Z"))

    found = Caller.objects.get()
    assert (found.calls, found.last_seen.day, found.first_seen.day) == (9, 19, 18)


def test_one_file_tells_the_first_and_the_last_time(shop):
    take(HEAD + row(seen="2026-11-18T03:00:00Z") + row(seen="2026-11-17T03:00:00Z"))

    found = Caller.objects.get()
    assert (found.calls, found.first_seen.day, found.last_seen.day) == (14, 17, 18)


def test_what_was_told_of_an_instance_before_it_was_collected_counts(shop):
    take(HEAD + row())
    late = factories.instance(shop, instance_id="i-0123456789abcdef0")
    elsewhere = factories.instance(shop, instance_id="i-0123456789abcdef0", region="eu-west-1")

    assert set(v1_credentials([late, elsewhere])) == {late.pk}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (row(agent="x" * 200_000), "line 1: it is no CSV from here on"),
        (row(region="r" * 50), "is no Region"),
        (row(calls="1" + "0" * 30), "more than there can be"),
        (row(seen="0001-01-01T00:00:00+23:59"), "last_seen a time"),
        (row(seen="2999-01-01T00:00:00Z"), "line 2: 2999-01-01 00:00 UTC has not come yet"),
    ],
    ids=["a field without end", "a Region", "calls", "a time before all", "a time to come"],
)
def test_a_line_that_no_table_takes_is_named_and_not_an_error(shop, text, words):
    with pytest.raises(Refused, match=words):
        take(HEAD + text)

    assert not Caller.objects.exists()


def test_letters_that_postgresql_has_no_text_for_are_replaced(shop):
    take(HEAD + row(agent="a\x00b"))

    assert Caller.objects.get().user_agent == "a\N{REPLACEMENT CHARACTER}b"


# As src/imds_snoop.py of the analyzer 1.5.0 writes it: small letters, the request behind.
SMALL = (
    "[2026-11-18 03:00:02,956] [WARNING] imdsv1(!) (pid:27541:python3 argv:/usr/bin/python3 nightly.py) called by -> "
    "(pid:27538:bash argv:bash -c cd /srv\npython3 nightly.py --password hunter2) -> "
    "(pid:1 unable to get argv information) req details: get /latest/meta-data/instance-id http/1.1, "
    "host: 169.254.169.254, user-agent: boto3/1.9.0 botocore/1.12.0, \n"
)


def test_a_log_of_todays_analyzer_is_read_with_its_user_agent(shop):
    analyzed(SMALL)

    found = Caller.objects.get()
    assert (found.process, found.user_agent) == ("/usr/bin/python3 nightly.py", "boto3/1.9.0 botocore/1.12.0")
    assert (found.known, found.reading) == ("boto3", "too_old")
    assert found.last_seen == datetime(2026, 11, 18, 3, 0, 2, tzinfo=UTC)


def test_a_command_line_of_several_lines_is_one_and_keeps_no_password(shop):
    analyzed(SMALL)

    assert Caller.objects.get().parents == ["bash -c cd /srv python3 nightly.py --password •••", "process 1"]


def test_a_call_of_imdsv2_whose_words_speak_of_imdsv1_is_none(shop):
    other = "[2026-11-18 03:00:02,956] [INFO] imdsv2 (pid:9:check argv:check --level WARNING --for IMDSv1)\n"
    analyzed(SMALL + other)

    assert Caller.objects.get().process == "/usr/bin/python3 nightly.py"


def test_a_command_line_too_long_to_end_still_names_its_process(shop):
    analyzed(f"[2026-11-18 03:00:02,956] [WARNING] imdsv1(!) (pid:9:java argv:java -cp {'a.jar:' * 9000} Main)\n")

    assert Caller.objects.get().process.startswith("java -cp a.jar:")


@pytest.mark.parametrize(("region", "instance"), [("", "i-0123456789abcdef0"), ("eu-west-1", "web-1")])
def test_a_log_needs_a_region_and_an_instance_that_can_be(shop, region, instance):
    told = sightings.analyzer(io.StringIO(SMALL), account_id="123456789012", region=region, instance_id=instance)
    with pytest.raises(Refused, match="needs a Region such as eu-west-1 and an instance id"):
        callers.import_sightings(told=told, kind=FoundBy.ANALYZER, by=None, now=NOW)


def test_a_chunk_of_two_regions_mixes_none_of_their_callers_up(shop):
    take(HEAD + row())
    other = factories.instance(shop, instance_id="i-0123456789abcdef0", region="eu-west-1")
    here = factories.instance(shop, region="us-east-1")

    assert v1_credentials([other, here]) == {}
