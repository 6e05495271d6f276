"""The test of a role, as it is stored by another process: what is wrong with it is left out, never believed."""

from datetime import timedelta

import pytest

from migration.models import Account
from migration.queries.probes import Check, Probe, probe_of
from tests.factories import NOW


def probe(told) -> Probe:
    return probe_of(Account(probe=told))


def test_both_spellings_of_a_check_are_understood():
    checks = {"regions": 4, "checks": [{"operation": "DescribeInstances", "ok": True, "message": ""}]}
    findings = {"regions": list("abcd"), "findings": [{"action": "DescribeInstances", "ok": True, "message": ""}]}

    assert probe(checks) == probe(findings) == Probe(regions=4, checks=[Check("DescribeInstances", ok=True)])


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "text",
        {},
        {"at": 5, "checks": "no list", "regions": "x"},
        {"at": "yesterday", "checks": [3, None], "findings": None},
        {"at": "2026-13-99T00:00:00Z"},
    ],
)
def test_what_is_no_finding_is_no_finding(told):
    assert probe(told) == Probe()


@pytest.mark.parametrize("ok", ["true", 1, None, "no"])
def test_a_call_is_allowed_only_when_it_says_so(ok):
    assert probe({"checks": [{"operation": "X", "ok": ok}]}).checks == [Check("X", ok=False)]


@pytest.mark.parametrize(
    ("asked", "answered", "pending", "unanswered"),
    [
        (None, None, False, False),
        (10, None, True, True),
        (10, 60, True, True),  # that answer was to an earlier question
        (10, 10, False, False),
        (10, 5, False, False),
        (91, None, False, True),
        (None, 5, False, False),
    ],
)
def test_a_test_is_under_way_until_it_is_answered_or_nobody_will(asked, answered, pending, unanswered):
    told = {
        name: (NOW - timedelta(seconds=ago)).isoformat()
        for name, ago in (("asked_at", asked), ("at", answered))
        if ago is not None
    }

    found = probe(told)

    assert (found.pending(NOW), found.unanswered) == (pending, unanswered)
