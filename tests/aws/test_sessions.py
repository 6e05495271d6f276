"""Whose request it is, how often it is sent, and what is counted: over real HTTP against the pretend AWS."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.awsrequest import AWSResponse

from migration.aws import ec2, errors, retry
from migration.aws.pace import Pace
from migration.aws.sessions import Edge, Limits, Target, _signed_with, _whole
from tests import fleets

REGION = "us-east-1"
LIMITS = Limits(connect_timeout=1, read_timeout=1, attempts=6)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda *_, **__: None)


def edge() -> Edge:
    return Edge(limits=LIMITS, pace=Pace(sleep=lambda _: None))


def reader(account_id: str = fleets.MEMBER, **more) -> Target:
    return Target(account_id, f"arn:aws:iam::{account_id}:role/imdsdash-reader", fleets.EXTERNAL_ID, "sweep-7", **more)


def many(count: int) -> dict:
    """A central account and members, each with one instance that carries the account's number as its name."""
    ids = [f"{number:012d}" for number in range(700000000000, 700000000000 + count)]
    return {
        "accounts": [
            {"id": fleets.CENTRAL, "regions": [REGION]},
            *[
                {"id": one, "regions": [REGION], "roles": fleets.ROLES, "instances": [{"name": one, **fleets.QUIET}]}
                for one in ids
            ],
        ]
    }


def names(one: Edge, target: Target) -> list[str]:
    return [fact.name for page in ec2.instance_pages(one, target, REGION) for fact in page]


def test_one_client_serves_many_accounts_and_each_answer_is_its_own_accounts(aws):
    """A client shared by threads must never sign one account's request with another's credentials."""
    sandbox = aws(many(12))
    one = edge()
    accounts = [f"{number:012d}" for number in range(700000000000, 700000000012)] * 4

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda account_id: names(one, reader(account_id)), accounts))

    assert found == [[account_id] for account_id in accounts]
    assert len(one._clients) == 2  # sts and ec2
    assert {(call["account_id"], call["role_name"]) for call in sandbox.calls(operation="DescribeInstances")} == {
        (account_id, "imdsdash-reader") for account_id in accounts
    }


def test_a_request_that_is_not_told_whose_it_is_is_not_sent(aws):
    """The clients' session has no credentials, not even the ambient ones."""
    sandbox = aws(fleets.alone())
    one = edge()
    one.ambient()
    client = one._client("ec2", REGION)
    sandbox.clear_calls()

    with pytest.raises(Exception, match="Unable to locate credentials"):
        client.describe_instances()

    assert sandbox.calls() == []


def test_the_session_names_the_sweep_and_so_does_its_source_identity(aws):
    sandbox = aws(fleets.pair())

    names(edge(), reader(source_identity="sweep-7"))

    (asked,) = sandbox.calls(operation="AssumeRole")
    assert asked["params"]["RoleSessionName"] == asked["params"]["SourceIdentity"] == "sweep-7"
    (call,) = sandbox.calls(operation="DescribeInstances")
    assert (call["session_name"], call["source_identity"]) == ("sweep-7", "sweep-7")


def test_no_session_is_asked_for_longer_than_role_chaining_allows(aws):
    """Role chaining caps at 3,600 s, and asking for more fails (domain.md 11)."""
    sandbox = aws(fleets.pair())

    names(edge(), reader())

    assert [call["params"]["DurationSeconds"] for call in sandbox.calls(operation="AssumeRole")] == ["3600"]


def test_credentials_that_answer_as_another_account_read_nothing(aws):
    sandbox = aws(fleets.pair(), faults=[{"kind": "wrong_account", "account_id": fleets.MEMBER}])

    with pytest.raises(errors.WrongAccount, match="answer as account 999999999999"):
        names(edge(), reader())

    assert not sandbox.calls(operation="DescribeInstances")


def test_throttling_is_asked_again_and_counted(aws):
    aws(fleets.pair(), faults=[{"kind": "throttle", "operation": "DescribeInstances", "times": 4}])
    one = edge()

    assert names(one, reader()) == []

    tally = one.meter.take(fleets.MEMBER, REGION)
    assert (tally.calls["DescribeInstances"], tally.throttled["DescribeInstances"]) == (5, 4)
    assert one.meter.take(fleets.MEMBER, REGION).calls == {}


def test_one_throttled_account_takes_no_retries_from_the_others(aws):
    """botocore's own retry quota belongs to the client; ours asks again for each call by itself."""
    fleet = many(3)
    first = fleet["accounts"][1]["id"]
    aws(fleet, faults=[{"kind": "throttle", "operation": "DescribeInstances", "account_id": first}])
    one = edge()
    for _ in range(40):
        with pytest.raises(errors.Throttled):
            names(one, reader(first))

    other = fleet["accounts"][2]["id"]
    assert names(one, reader(other)) == [other]


def test_a_hung_endpoint_is_tried_twice_and_no_more(aws):
    sandbox = aws(fleets.pair(), faults=[{"kind": "hang", "operation": "DescribeInstances", "seconds": 1.5}])

    with pytest.raises(errors.Unreachable):
        names(edge(), reader())

    assert len(sandbox.calls(operation="DescribeInstances")) == 2


def test_a_door_that_hangs_is_knocked_at_twice_and_nothing_behind_it_is_counted_as_sent(aws):
    """The call that needs the role is not tried again on top of AssumeRole's own tries."""
    sandbox = aws(fleets.pair(), faults=[{"kind": "hang", "operation": "AssumeRole", "seconds": 1.5}])
    one = edge()

    with pytest.raises(errors.Unreachable, match="AssumeRole in 444455556666"):
        names(one, reader())

    assert [call["operation"] for call in sandbox.calls()] == ["AssumeRole"] * 2
    assert one.meter.calls == {"AssumeRole": 2}


def test_a_throttled_door_is_knocked_at_as_often_as_any_call(aws):
    sandbox = aws(fleets.pair(), faults=[{"kind": "throttle", "operation": "AssumeRole"}])

    with pytest.raises(errors.Throttled):
        names(edge(), reader())

    assert len(sandbox.calls()) == LIMITS.attempts


def test_a_session_that_ran_out_is_renewed_once_for_all_who_used_it(aws):
    held = {"operation": "DescribeInstances", "times": 6}
    sandbox = aws(many(1), faults=[{"kind": "barrier", "name": "all", **held}, {"kind": "expire_credentials", **held}])
    one, (account_id, *_) = edge(), ["700000000000"]

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(names, one, reader(account_id)) for _ in range(6)]
        sandbox.wait_for("all", 6)
        sandbox.release("all")
        assert [done.result() for done in asked] == [[account_id]] * 6

    assert len(sandbox.calls(operation="AssumeRole")) == 2


def test_a_refusal_is_not_asked_again(aws):
    sandbox = aws(fleets.pair(), faults=[{"kind": "access_denied", "operation": "DescribeInstances"}])

    with pytest.raises(errors.Denied):
        names(edge(), reader())

    assert len(sandbox.calls(operation="DescribeInstances")) == 1


def test_a_write_is_sent_once_even_when_it_is_throttled(aws):
    sandbox = aws(fleets.alone({"name": "web"}), faults=[{"kind": "throttle", "operation": "Modify*"}])
    one = edge()
    (instance_id,) = sandbox.world.instances

    with pytest.raises(errors.Throttled):
        one.ask(
            one.ambient(),
            "ec2",
            REGION,
            "modify_instance_metadata_options",
            once=True,
            InstanceId=instance_id,
            HttpTokens="required",
        )

    assert len(sandbox.calls(operation="ModifyInstanceMetadataOptions")) == 1


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (errors.Throttled("x"), 8),
        (errors.Passing("x"), 4),
        (errors.Unreachable("x"), 2),
        (errors.Denied("x"), 1),
        (errors.Refused("x"), 1),
        (errors.WrongAccount("x"), 1),
    ],
)
def test_how_often_a_failure_is_tried(error, times):
    assert retry.attempts(error, most=8) == times


def test_a_throttled_call_waits_at_least_half_of_its_longest_pause(monkeypatch):
    monkeypatch.undo()
    slept: list[float] = []
    monkeypatch.setattr(retry.time, "sleep", slept.append)

    for attempt in range(1, 9):
        retry.pause(attempt, throttled=True)

    assert all(min(20.0, 0.2 * 2**n) / 2 <= seconds <= 20.0 for n, seconds in enumerate(slept, 1))


def test_the_clock_of_aws_is_compared_with_ours(aws):
    aws(fleets.alone())
    one = edge()
    me = one.ambient()
    names(one, me)

    skew = one.meter.take(me.account_id, REGION).clock_skew
    assert skew is not None
    assert abs(skew) < 5


@pytest.mark.parametrize("seconds", [600, -600])
def test_the_clock_is_compared_with_refusals_too_for_a_clock_that_is_wrong_makes_aws_refuse(aws, seconds):
    sandbox = aws(fleets.alone())
    one = edge()
    me = one.ambient()
    sandbox.set_faults([{"kind": "clock", "seconds": seconds}, {"kind": "access_denied"}])

    with pytest.raises(errors.Denied):
        names(one, me)

    assert abs(one.meter.take(me.account_id, REGION).clock_skew - seconds) < 5


def test_no_credentials_are_said_in_one_sentence(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(errors.NoCredentials, match="No AWS credentials were found"):
        edge().ambient()


def test_credentials_of_the_moment_do_not_leak_into_another_thread(aws):
    aws(fleets.alone({"name": "web"}))
    one = edge()
    me = one.ambient()
    seen = []
    with _signed_with(one._credentials_of(me)):
        thread = threading.Thread(target=lambda: seen.append(_signs_now()))
        thread.start()
        thread.join()

    assert seen == [None]


def _signs_now():
    from migration.aws.sessions import _signs

    return _signs.get()


@pytest.mark.parametrize(
    ("service", "operation"),
    [("ec2", "describe_instances"), ("cloudwatch", "list_metrics"), ("sts", "get_caller_identity")],
)
def test_an_answer_that_was_cut_off_is_no_answer_in_any_protocol(aws, service, operation):
    """botocore reads half a JSON document as an empty one, so a cut page would be the last page."""
    sandbox = aws(fleets.alone({"count": 3, "name_prefix": "web"}))
    one = edge()
    me = one.ambient()
    sandbox.set_faults([{"kind": "truncate"}])
    sandbox.clear_calls()

    with pytest.raises(errors.Unreachable, match="cut off"):
        one.ask(me, service, REGION, operation)

    assert len(sandbox.calls()) == 2


PROXY = b"<html><body>Please log in.</body></html>"


@pytest.mark.parametrize("body", [PROXY, b"{}", b""], ids=["a page of HTML", "an empty object", "nothing"])
@pytest.mark.parametrize(
    ("service", "operation"),
    [("ec2", "describe_instances"), ("organizations", "list_accounts")],
)
def test_an_answer_of_somebody_else_is_no_empty_list(aws, monkeypatch, service, operation, body):
    """botocore reads it as an answer with nothing in it: an inventory without instances, a list without accounts."""
    aws(fleets.pair())
    one = edge()
    me = one.ambient()
    received = AWSResponse.content.fget
    monkeypatch.setattr(AWSResponse, "content", property(lambda self: received(self) and body))
    monkeypatch.setattr("migration.aws.sessions._whole", lambda *_: None)  # the proxy's length is true

    with pytest.raises(errors.Unreachable, match=r"answer that is not AWS's"):
        one.ask(me, service, REGION, operation)


def test_a_page_of_html_is_no_answer_not_even_where_a_list_may_be_empty():
    response = {"headers": {"content-type": "text/html; charset=utf-8", "content-length": "41"}, "body": PROXY}

    with pytest.raises(errors.Unreachable, match=r"answer that is not AWS's"):
        _whole(response, "ListMetrics")
