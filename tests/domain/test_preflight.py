"""What AWS is asked beforehand: the change and its way back, one of each kind in each Region."""

import pytest

from migration.domain import preflight
from migration.enums import ResourceKind


def item(kind, region, resource, before, send):
    name = "instance_id" if kind == "instance" else "resource_id"
    return {"kind": kind, "region": region, name: resource, "before": before, "send": send}


OPTIONAL, REQUIRED = {"HttpTokens": "optional"}, {"HttpTokens": "required"}


def asked(*changes):
    return [
        (one.what, one.region, one.resource_id, dict(one.send)) for one in preflight.trials({"changes": list(changes)})
    ]


def test_one_of_each_kind_in_each_region_is_asked_for_change_and_way_back():
    assert asked(
        item("instance", "eu-west-1", "i-1", OPTIONAL, REQUIRED),
        item("instance", "eu-west-1", "i-2", OPTIONAL, REQUIRED),
        item("instance", "us-east-1", "i-3", OPTIONAL, REQUIRED),
    ) == [
        ("change", "eu-west-1", "i-1", REQUIRED),
        ("put back", "eu-west-1", "i-1", OPTIONAL),
        ("change", "us-east-1", "i-3", REQUIRED),
        ("put back", "us-east-1", "i-3", OPTIONAL),
    ]


def test_each_kind_of_a_region_is_asked_for_by_itself():
    assert asked(
        item("instance", "eu-west-1", "i-1", OPTIONAL, REQUIRED),
        item("default_version", "eu-west-1", "lt-1", {"DefaultVersion": "1"}, {"DefaultVersion": "2"}),
    ) == [
        ("change", "eu-west-1", "i-1", REQUIRED),
        ("put back", "eu-west-1", "i-1", OPTIONAL),
        ("change", "eu-west-1", "lt-1", {"DefaultVersion": "2"}),
        ("put back", "eu-west-1", "lt-1", {"DefaultVersion": "1"}),
    ]


def test_what_cannot_be_put_back_is_not_asked_about():
    assert [
        one[0] for one in asked(item("image", "eu-west-1", "ami-1", {"ImdsSupport": None}, {"ImdsSupport": "v2.0"}))
    ] == ["change"]


def test_what_was_not_known_before_is_not_asked_about():
    assert [one[0] for one in asked(item("instance", "eu-west-1", "i-1", {"HttpTokens": None}, REQUIRED))] == ["change"]


def trial() -> preflight.Trial:
    return next(preflight.trials({"changes": [item("instance", "eu-west-1", "i-1", OPTIONAL, REQUIRED)]}))


WORDS = {
    "": "AWS would allow it.",
    "UnauthorizedOperation": "AWS forbids it: the enforcer role, an SCP or a declarative policy does not allow it.",
    "UnsupportedOperation": "AWS does not support it here; HttpTokensEnforced may be on.",
    "OperationNotPermitted": "AWS does not permit it; a service may keep this resource.",
    "Blocked": "AWS would refuse it: Blocked.",
    None: "AWS offers no trial for this (Auto Scaling has no DryRun).",
}


@pytest.mark.parametrize(("code", "said"), WORDS.items())
def test_an_answer_is_stored_with_its_words(code, said):
    assert preflight.answer(trial(), code) == {
        "what": "change",
        "kind": "instance",
        "label": ResourceKind.INSTANCE.label,
        "region": "eu-west-1",
        "resource_id": "i-1",
        "code": code,
        "said": said,
    }


def test_no_answer_is_neither_yes_nor_no():
    assert preflight.unanswered(trial(), "timed out") == preflight.answer(trial(), None) | {
        "said": "AWS did not answer: timed out"
    }
