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


BEFORE_WRITE = {
    "as planned": (FACT, Finding.GO),
    "not there": (None, Finding.GONE),
    "terminated": (replace(FACT, instance_state="terminated"), Finding.ENDED),
    "being terminated": (replace(FACT, instance_state="shutting-down"), Finding.ENDED),
    "taken over by a service": (replace(FACT, operator_managed=True), Finding.MANAGED),
    "already required": (seen(http_tokens="required"), Finding.ALREADY),
    "hop limit moved": (seen(http_put_response_hop_limit=3), Finding.DRIFTED),
    "endpoint closed": (seen(http_endpoint="disabled"), Finding.DRIFTED),
    "ipv6 moved": (seen(http_protocol_ipv6="enabled"), Finding.DRIFTED),
    "tags moved": (seen(instance_metadata_tags="enabled"), Finding.DRIFTED),
    "required and hop limit moved": (seen(http_tokens="required", http_put_response_hop_limit=3), Finding.DRIFTED),
    "AWS no longer says": (seen(http_tokens=None), Finding.DRIFTED),
    "only the State differs": (seen(state="pending"), Finding.GO),
}


@pytest.mark.parametrize(("fact", "finding"), BEFORE_WRITE.values(), ids=BEFORE_WRITE.keys())
def test_a_fresh_read_decides_whether_to_write(fact, finding):
    assert live.before_write(live=fact, before=BEFORE, send=SEND).finding is finding


AFTER_WRITE = {
    "applied": (seen(http_tokens="required"), Check.VERIFIED),
    "not there yet": (None, Check.WAIT),
    "terminated meanwhile": (replace(FACT, instance_state="terminated"), Check.GONE),
    "a lagging replica": (FACT, Check.WAIT),
    "pending": (seen(http_tokens="required", state="pending"), Check.WAIT),
    "pending on a stopped instance": (
        replace(seen(http_tokens="required", state="pending"), instance_state="stopped"),
        Check.VERIFIED,
    ),
    "something else moved": (seen(http_tokens="required", http_endpoint="disabled"), Check.DISTURBED),
}


@pytest.mark.parametrize(("fact", "check"), AFTER_WRITE.values(), ids=AFTER_WRITE.keys())
def test_a_fresh_read_decides_whether_it_is_done(fact, check):
    assert live.after_write(live=fact, before=BEFORE, send=SEND)[0] is check


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
