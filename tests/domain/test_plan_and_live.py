"""The plan's hash, and the guards between an approval and a write."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain import live, plan
from migration.domain.facts import InstanceFact, MetadataOptions
from migration.domain.live import Check, Finding
from migration.domain.plan import Candidate
from migration.enums import Status

NOW = datetime(2026, 11, 20, tzinfo=UTC)
OPTIONS = MetadataOptions("optional", 2, "enabled", "disabled", "disabled", "applied")
BEFORE = OPTIONS.as_aws()
SEND = {"HttpTokens": "required"}
FACT = InstanceFact("i-1", "running", OPTIONS)


def candidate(**fields) -> Candidate:
    base = Candidate("i-1", "us-east-1", "web", OPTIONS, Status.READY, "why", 14, 0, None, (), ())
    return replace(base, **fields)


def built(*candidates: Candidate) -> dict:
    return plan.build(account_id="1", candidates=candidates, window_days=14, as_of=NOW)


@pytest.mark.parametrize("status", Status)
def test_only_ready_is_planned_and_what_is_done_or_gone_is_in_neither_list(status):
    found = built(candidate(status=status))

    assert bool(found["changes"]) == (status is Status.READY)
    assert bool(found["excluded"]) == (status not in {Status.READY, Status.ENFORCED, Status.GONE})


def test_every_change_sends_http_tokens_alone():
    assert [change["send"] for change in built(candidate(), candidate(instance_id="i-2"))["changes"]] == [SEND] * 2


def test_the_hash_does_not_depend_on_the_order_of_the_candidates():
    one, two = candidate(), candidate(instance_id="i-2", region="eu-west-1")

    assert plan.digest(built(one, two)) == plan.digest(built(two, one))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, min_size=1), st.data())
def test_any_edit_changes_the_hash(value, data):
    key = data.draw(st.sampled_from(sorted(value)))
    edited = value | {key: data.draw(json_values)}

    assert (plan.digest(edited) == plan.digest(value)) == (plan.canonical(edited) == plan.canonical(value))


def seen(**options) -> InstanceFact:
    return replace(FACT, options=replace(OPTIONS, **options))


HOPS = {"HttpPutResponseHopLimit": 3}
HOP_LIMIT, ENDPOINT = "HttpPutResponseHopLimit was 2 and is 3", "HttpEndpoint was enabled and is disabled"
MOVED = "Changed since the plan was made: "
BEFORE_WRITE = {
    "as planned": (FACT, Finding.GO, ""),
    "not there": (None, Finding.GONE, "AWS no longer shows this instance."),
    "terminated": (replace(FACT, instance_state="terminated"), Finding.ENDED, "The instance is terminated."),
    "being terminated": (
        replace(FACT, instance_state="shutting-down"),
        Finding.ENDED,
        "The instance is shutting-down.",
    ),
    "taken over by a service": (
        replace(FACT, operator_managed=True),
        Finding.MANAGED,
        "An AWS service runs this instance; it cannot be changed by us.",
    ),
    "already required": (seen(http_tokens="required"), Finding.ALREADY, "It already is what the plan wants."),
    "hop limit moved": (seen(http_put_response_hop_limit=3), Finding.DRIFTED, f"{MOVED}{HOP_LIMIT}."),
    "endpoint closed": (seen(http_endpoint="disabled"), Finding.DRIFTED, f"{MOVED}{ENDPOINT}."),
    "ipv6 moved": (
        seen(http_protocol_ipv6="enabled"),
        Finding.DRIFTED,
        f"{MOVED}HttpProtocolIpv6 was disabled and is enabled.",
    ),
    "tags moved": (
        seen(instance_metadata_tags="enabled"),
        Finding.DRIFTED,
        f"{MOVED}InstanceMetadataTags was disabled and is enabled.",
    ),
    "required and hop limit moved": (
        seen(http_tokens="required", http_put_response_hop_limit=3),
        Finding.DRIFTED,
        f"{MOVED}{HOP_LIMIT}, HttpTokens was optional and is required.",
    ),
    "AWS no longer says": (
        seen(http_tokens=None),
        Finding.DRIFTED,
        f"{MOVED}HttpTokens was optional and is None.",
    ),
    "only the State differs": (seen(state="pending"), Finding.GO, ""),
}


@pytest.mark.parametrize(("fact", "finding", "reason"), BEFORE_WRITE.values(), ids=BEFORE_WRITE.keys())
def test_a_fresh_read_decides_whether_to_write(fact, finding, reason):
    assert live.before_write(live=fact, before=BEFORE, send=SEND) == live.Sight(finding, reason)


def test_what_is_sent_is_judged_as_a_whole():
    """One field of two is there already: the plan knew neither that nor who did it."""
    sight = live.before_write(live=seen(http_tokens="required"), before=BEFORE, send=SEND | HOPS)

    assert sight == live.Sight(Finding.DRIFTED, f"{MOVED}HttpTokens was optional and is required.")


READ_BACK = "and applied, read back from AWS."
AFTER_WRITE = {
    "applied": (seen(http_tokens="required"), SEND, Check.VERIFIED, f"Required {READ_BACK}"),
    "not there yet": (None, SEND, Check.WAIT, "AWS does not show the instance; it may be a lagging read."),
    "terminated meanwhile": (
        replace(FACT, instance_state="terminated"),
        SEND,
        Check.GONE,
        "The instance is terminated.",
    ),
    "a lagging replica": (FACT, SEND, Check.WAIT, "AWS still shows HttpTokens=optional."),
    "of two the one is there": (
        seen(http_tokens="required"),
        SEND | HOPS,
        Check.WAIT,
        "AWS still shows HttpPutResponseHopLimit=2.",
    ),
    "of two none is there": (
        FACT,
        SEND | HOPS,
        Check.WAIT,
        "AWS still shows HttpTokens=optional, HttpPutResponseHopLimit=2.",
    ),
    "pending": (
        seen(http_tokens="required", state="pending"),
        SEND,
        Check.WAIT,
        "AWS has accepted it and has not applied it yet.",
    ),
    "pending on a stopped instance": (
        replace(seen(http_tokens="required", state="pending"), instance_state="stopped"),
        SEND,
        Check.VERIFIED,
        "Required; the instance is stopped and takes it at its next start.",
    ),
    "applied on a stopped instance": (
        replace(seen(http_tokens="required"), instance_state="stopped"),
        SEND,
        Check.VERIFIED,
        f"Required {READ_BACK}",
    ),
    "something else moved": (
        seen(http_tokens="required", http_endpoint="disabled"),
        SEND,
        Check.DISTURBED,
        f"Required now, but something else moved too: {ENDPOINT}.",
    ),
    "two others moved": (
        seen(http_tokens="required", http_endpoint="disabled", http_put_response_hop_limit=3),
        SEND,
        Check.DISTURBED,
        f"Required now, but something else moved too: {HOP_LIMIT}, {ENDPOINT}.",
    ),
    "put back": (FACT, {"HttpTokens": "optional"}, Check.VERIFIED, f"Sent (HttpTokens=optional) {READ_BACK}"),
    "two were sent": (
        seen(http_put_response_hop_limit=3),
        {"HttpTokens": "optional"} | HOPS,
        Check.VERIFIED,
        f"Sent (HttpTokens=optional, HttpPutResponseHopLimit=3) {READ_BACK}",
    ),
}


@pytest.mark.parametrize(("fact", "send", "check", "reason"), AFTER_WRITE.values(), ids=AFTER_WRITE.keys())
def test_a_fresh_read_decides_whether_it_is_done(fact, send, check, reason):
    assert live.after_write(live=fact, before=BEFORE, send=send) == (check, reason)


@pytest.mark.parametrize(
    ("limit", "chosen", "sent"),
    [
        (1, None, {"HttpTokens": "required"}),
        (1, 2, {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}),
        (2, 2, {"HttpTokens": "required"}),
        (3, 2, {"HttpTokens": "required"}),
        (None, 2, {"HttpTokens": "required"}),
    ],
)
def test_a_plan_carries_the_hop_limit_chosen_for_a_workload_and_only_raises_it(limit, chosen, sent):
    one = candidate(options=replace(OPTIONS, http_put_response_hop_limit=limit), hop_limit=chosen)
    made = plan.build(account_id="1" * 12, candidates=[one], window_days=14, as_of=NOW)

    assert made["changes"][0]["send"] == sent
