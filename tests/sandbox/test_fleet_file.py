"""The fleet file: what it can say, and one sentence for each mistake."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sandbox.checks import Mistake
from sandbox.fleet.read import build, load

KEY = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "x"}
NOON = 1_795_348_800.0


def one_account(**group):
    return {"accounts": [{"id": "123456789012", "instances": [group]}]}


def only(fleet, **more):
    return next(iter(build(fleet, anchor=NOON, **more).instances.values()))


def test_the_least_fleet_is_one_account_id():
    world = build({"accounts": [{"id": "123456789012"}]})
    assert list(world.first_account.regions) == ["us-east-1"]
    assert world.organization_id is None


def test_a_thousand_instances_take_one_line():
    world = build(one_account(count=1000, name_prefix="web", usage="steady"))
    assert len(world.instances) == 1000
    assert next(iter(world.instances.values())).name == "web-0001"


def test_the_same_seed_gives_the_same_ids_and_another_seed_others():
    fleet = one_account(count=3)
    assert list(build(fleet, seed=1).instances) == list(build(fleet, seed=1).instances)
    assert not set(build(fleet, seed=1).instances) & set(build(fleet, seed=2).instances)


def test_a_span_gives_each_instance_its_own_date():
    world = build(one_account(count=20, launched_days_ago=[10, 20]), anchor=NOON)
    days = [(NOON - i.first_launch) / 86400 for i in world.instances.values()]
    assert 10 <= min(days) < max(days) <= 20
    assert len(set(days)) == 20


def test_a_group_says_all_of_an_instance():
    instance = only(
        one_account(
            instance_id="i-0123456789abcdef0",
            name="box",
            hop_limit=2,
            http_endpoint="disabled",
            metadata_tags="enabled",
            ipv6="enabled",
            lifecycle="spot",
            platform="windows",
            containers="c1",
            tags={"a": "b"},
            profile="p",
            user_data="eA==",
        )
    )
    options = instance.options
    assert (options.http_put_response_hop_limit, options.http_endpoint) == (2, "disabled")
    assert (options.instance_metadata_tags, options.http_protocol_ipv6) == ("enabled", "enabled")
    tags = instance.tags()
    assert (tags["Name"], tags["a"], tags["kubernetes.io/cluster/c1"]) == ("box", "b", "owned")
    assert (instance.instance_id, instance.blueprint.user_data) == ("i-0123456789abcdef0", "eA==")


def test_a_past_enforcement_and_a_relapse_are_history():
    instance = only(one_account(enforced_days_ago=20, regressed_days_ago=5))
    assert [mode for _, mode in instance.modes] == ["optional", "required", "optional"]


def test_a_template_is_named_with_its_version():
    fleet = one_account(asg="web", launch_template="web:2", count=3)
    fleet["accounts"][0]["launch_templates"] = [{"name": "web", "versions": [{}, {"instance_type": "c5.large"}]}]
    world = build(fleet)
    instance = next(iter(world.instances.values()))
    assert (instance.blueprint.template_version, instance.blueprint.instance_type) == (2, "c5.large")
    assert world.first_account.regions["us-east-1"].groups["web"].desired == 3


def test_churn_is_instances_that_came_and_went():
    world = build(
        one_account(churn={"per_day": 40, "days": 14, "lifetime_hours": [0.5, 6]}, usage="steady"), anchor=NOON
    )
    gone = list(world.instances.values())
    lives = [(i.runs[0].start, i.runs[0].end) for i in gone]
    assert len(gone) == 40 * 14
    kinds = {(i.state, len(i.runs), i.blueprint.usage.profile) for i in gone}
    assert kinds == {("terminated", 1, "steady")}
    assert all(start >= NOON - 14 * 86400 and end < NOON - 3600 for start, end in lives)
    assert 1800 <= min(end - start for start, end in lives) < max(end - start for start, end in lives) <= 6 * 3600
    per_day = Counter(int(start // 86400) for start, _ in lives)
    assert max(per_day.values()) <= 45


def test_churn_is_the_same_with_the_same_seed():
    def lives(seed):
        world = build(one_account(churn={"per_day": 5, "days": 3}), seed=seed, anchor=NOON)
        return {i.instance_id: i.runs for i in world.instances.values()}

    assert lives(1) == lives(1)
    assert not set(lives(1)) & set(lives(2))


def test_a_group_does_not_want_its_gone_members():
    fleet = one_account(asg="web", count=3)
    fleet["accounts"][0]["instances"].append({"asg": "web", "churn": {"per_day": 9}})
    assert build(fleet).first_account.regions["us-east-1"].groups["web"].desired == 3


def test_ten_thousand_instances_take_one_line_too():
    assert len(build(one_account(count=10_000, usage="office")).instances) == 10_000


@pytest.mark.parametrize(
    ("fleet", "sentence"),
    [
        ({}, r"accounts: is missing"),
        ({"accounts": []}, r"accounts: must hold at least one account"),
        ({"accounts": {}}, r"accounts: must be a list, not an object"),
        ({"accounts": [{"id": "12"}]}, r'accounts\[0\]\.id: "12" is not an account id, which has 12 digits'),
        ({"accounts": [{"id": 123456789012}]}, r"accounts\[0\]\.id: must be text, not a number"),
        ({"accounts": [{"id": "123456789012"}] * 2}, r'accounts\[1\]\.id: "123456789012" is there twice'),
        (
            {"accounts": [{"id": "123456789012", "regions": ["mars-1"]}]},
            r'accounts\[0\]\.regions: "mars-1" is not an AWS Region',
        ),
        (
            {"accounts": [{"id": "123456789012", "regions": []}]},
            r"accounts\[0\]\.regions: must be a list of Region names",
        ),
        (
            {"accounts": [{"id": "123456789012", "ou": "Payments"}]},
            r'accounts\[0\]\.ou: "Payments" is not a path from Root',
        ),
        (
            {"acounts": [], "accounts": [{"id": "123456789012"}]},
            r"acounts: is not a known field; did you mean accounts\?",
        ),
        (one_account(http_tokens="banana"), r'instances\[0\]\.http_tokens: "banana" is not one of optional, required'),
        (
            one_account(http_tokns="optional"),
            r"instances\[0\]\.http_tokns: is not a known field; did you mean http_tokens\?",
        ),
        (one_account(hop_limit=65), r"instances\[0\]\.hop_limit: 65 is not a whole number from 1 to 64"),
        (one_account(hop_limit=True), r"instances\[0\]\.hop_limit: true is not a whole number from 1 to 64"),
        (one_account(count=0), r"instances\[0\]\.count: 0 is not a whole number from 1"),
        (one_account(region="eu-west-1"), r'instances\[0\]\.region: "eu-west-1" is not one of us-east-1'),
        (one_account(usage="wild"), r'instances\[0\]\.usage\.profile: "wild" is not one of quiet, steady'),
        (
            one_account(usage={"profile": "steady", "hour": 24}),
            r"instances\[0\]\.usage\.hour: 24 is not a whole number from 0 to 23",
        ),
        (one_account(launched_days_ago=[9, 3]), r"launched_days_ago: \[9, 3\] is not in the order \[least, most\]"),
        (one_account(launched_days_ago="old"), r'launched_days_ago: "old" is not a number of at least 0'),
        (one_account(ami="nope"), r"instances\[0\]\.ami: \"nope\" is not one of this account's images: none"),
        (
            one_account(launch_template="nope"),
            r'launch_template: "nope" is not one of the launch templates in us-east-1: none',
        ),
        (one_account(instance_id="i-1"), r'instance_id: "i-1" is not i- and 8 or 17 hexadecimal digits'),
        (one_account(instance_id="i-12345678", count=2), r"instance_id: needs a count of 1"),
        (one_account(stopped_days_ago=3), r'stopped_days_ago: needs a state of "stopped" or "terminated"'),
        (one_account(enforced_days_ago=3), r"http_tokens: must be required with these"),
        (one_account(regressed_days_ago=3), r"regressed_days_ago: needs enforced_days_ago"),
        (one_account(churn={}, count=3), r"instances\[0\]\.count: is not for a group with churn"),
        (one_account(churn={}, state="running"), r"instances\[0\]\.state: is not for a group with churn"),
        (one_account(churn={"per_day": 0}), r"churn\.per_day: 0 is not a number from 0\.01 to 100000"),
        (
            one_account(churn={"days": 1, "lifetime_hours": [1, 23]}),
            r"churn\.lifetime_hours: must be more than 0, and so short that it fits in 1 days",
        ),
        (one_account(churn={"a_day": 4}), r"churn\.a_day: is not a known field; did you mean per_day\?"),
        (one_account(tags={"a": 1}), r"instances\[0\]\.tags: must be an object whose values are texts"),
        (
            {"accounts": [{"id": "123456789012", "roles": [{"name": "r", "kind": "king"}]}]},
            r'roles\[0\]\.kind: "king" is not one of reader',
        ),
        (
            {"accounts": [{"id": "123456789012"}], "credentials": [{**KEY, "account_id": "1"}]},
            r'credentials\[0\]\.account_id: "1" is not one of 123456789012',
        ),
        (
            {"accounts": [{"id": "123456789012"}], "settings": {"zero_fill": "no"}},
            r'settings\.zero_fill: "no" is not one of true, false',
        ),
        ({"accounts": ["x"]}, r"accounts\[0\]: must be an object, not text"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_its_place(fleet, sentence):
    with pytest.raises(Mistake, match=sentence) as caught:
        build(fleet)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON: .* at line 1, column 2"),
        ("[]", "must hold a JSON object"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_fleet_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "fleet.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Mistake, match=sentence):
        load(path)


def test_the_example_of_the_readme_is_a_good_fleet():
    from pathlib import Path

    import sandbox

    text = (Path(sandbox.__file__).parent / "README.md").read_text(encoding="utf-8")
    example = text.split("```json")[1].split("```")[0]
    assert build(json.loads(example)).instances
