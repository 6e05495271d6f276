"""What AWS is asked beforehand: the change and its way back, one of each kind in each Region."""

from migration.domain import preflight


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


def test_what_cannot_be_put_back_is_not_asked_about():
    assert [
        one[0] for one in asked(item("image", "eu-west-1", "ami-1", {"ImdsSupport": None}, {"ImdsSupport": "v2.0"}))
    ] == ["change"]


def test_what_was_not_known_before_is_not_asked_about():
    assert [one[0] for one in asked(item("instance", "eu-west-1", "i-1", {"HttpTokens": None}, REQUIRED))] == ["change"]


def test_answers_are_words_and_no_answer_is_neither_yes_nor_no():
    (trial, _) = preflight.trials({"changes": [item("instance", "eu-west-1", "i-1", OPTIONAL, REQUIRED)]})

    assert preflight.answer(trial, "")["said"] == "AWS would allow it."
    assert "SCP" in preflight.answer(trial, "UnauthorizedOperation")["said"]
    assert preflight.answer(trial, "Blocked")["said"] == "AWS would refuse it: Blocked."
    silent = preflight.unanswered(trial, "timed out")
    assert (silent["code"], silent["said"]) == (None, "AWS did not answer: timed out")
