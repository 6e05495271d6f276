"""Every rung as a change of one form: what undoes it, and the guards before and after its write."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain import ladder
from migration.domain.ladder import GROUP, IMAGE, INSTANCE, REGION_DEFAULTS, TEMPLATE_DEFAULT, TEMPLATE_VERSION, Seen
from migration.domain.live import Check, Finding

OPTIONS = {
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 2,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}
DEFAULTS = {
    "HttpTokens": None,
    "HttpPutResponseHopLimit": None,
    "HttpEndpoint": None,
    "InstanceMetadataTags": None,
    "HttpTokensEnforced": None,
}
SOURCE = {"SourceVersion": 3, "MetadataOptions": {"HttpPutResponseHopLimit": 2}}
BLOCK = {"HttpPutResponseHopLimit": 2, "HttpTokens": "required"}


def single(version: str, template_id: str = "lt-1") -> dict:
    return {"LaunchTemplate": spec(version, template_id)}


def spec(version: object, template_id: str = "lt-1") -> dict:
    return {"LaunchTemplateId": template_id, "LaunchTemplateName": f"name of {template_id}", "Version": version}


def mixed(first: object, second: object, weight: str = "2") -> dict:
    overrides = [
        {"InstanceType": "m5.large", "WeightedCapacity": weight},
        {"InstanceType": "m6g.large", "LaunchTemplateSpecification": spec(second, "lt-2")},
    ]
    return {
        "MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": spec(first), "Overrides": overrides}}
    }


# kind -> before, send, the state once AWS has it
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    INSTANCE: (OPTIONS, {"HttpTokens": "required"}, OPTIONS | {"HttpTokens": "required", "State": "applied"}),
    TEMPLATE_VERSION: (SOURCE, {"MetadataOptions": BLOCK}, SOURCE | {"VersionNumber": 7, "MetadataOptions": BLOCK}),
    TEMPLATE_DEFAULT: ({"DefaultVersion": 3}, {"DefaultVersion": 7}, {"DefaultVersion": 7}),
    GROUP: (mixed("3", "1"), mixed("7", "1"), mixed("7", "1")),
    IMAGE: ({"ImdsSupport": None}, {"ImdsSupport": "v2.0"}, {"ImdsSupport": "v2.0"}),
    REGION_DEFAULTS: (DEFAULTS, {"HttpTokens": "required"}, DEFAULTS | {"HttpTokens": "required"}),
}


def test_there_is_a_change_of_every_kind():
    assert set(CHANGES) == set(ladder.KINDS) == set(ladder.MEMBERS) == set(ladder.NAMES)


# --- what undoes it ----------------------------------------------------------------------------------------

words = st.sampled_from(["enabled", "disabled"])
hops = st.integers(1, 64)
tokens = st.sampled_from(["optional", "required"])
instances = st.fixed_dictionaries({
    "HttpTokens": tokens, "HttpPutResponseHopLimit": hops, "HttpEndpoint": words, "HttpProtocolIpv6": words,
    "InstanceMetadataTags": words,
})  # fmt: skip
region_defaults = st.fixed_dictionaries({
    "HttpTokens": st.none() | tokens, "HttpPutResponseHopLimit": st.none() | hops, "HttpEndpoint": st.none() | words,
    "InstanceMetadataTags": st.none() | words, "HttpTokensEnforced": st.none() | words,
})  # fmt: skip
sent_defaults = st.fixed_dictionaries(
    {},
    optional={
        "HttpTokens": tokens | st.just("no-preference"),
        "HttpPutResponseHopLimit": hops | st.just(-1),
        "HttpTokensEnforced": words | st.just("no-preference"),
    },
)
sent_options = st.fixed_dictionaries({}, optional={"HttpTokens": tokens, "HttpPutResponseHopLimit": hops})


@given(
    st.tuples(st.just(INSTANCE), instances, sent_options)
    | st.tuples(st.just(REGION_DEFAULTS), region_defaults, sent_defaults)
)
def test_what_is_restored_after_what_was_sent_is_what_was_before(change):
    kind, before, send = change
    undo: Any = ladder.restore(kind, before, send)
    sent = before | ladder.as_state(kind, send)

    assert set(undo) == set(send)
    assert sent | ladder.as_state(kind, undo) == before


@given(region_defaults, sent_defaults)
def test_a_default_is_taken_away_in_words_and_never_by_null(before, send):
    """`null` or an omitted field keeps the old value (domain.md 13, case 19)."""
    undo: Any = ladder.restore(REGION_DEFAULTS, before, send)

    assert None not in undo.values()


@pytest.mark.parametrize(
    ("kind", "undo"),
    [
        (INSTANCE, {"HttpTokens": "optional"}),
        (TEMPLATE_VERSION, {}),
        (TEMPLATE_DEFAULT, {"DefaultVersion": 3}),
        (GROUP, mixed("3", "1")),
        (IMAGE, None),
        (REGION_DEFAULTS, {"HttpTokens": "no-preference"}),
    ],
)
def test_every_kind_says_what_undoes_it(kind, undo):
    before, send, _ = CHANGES[kind]

    assert ladder.restore(kind, before, send) == undo


def test_what_restores_a_group_shares_nothing_with_the_plan():
    before, send, _ = CHANGES[GROUP]

    undo: Any = ladder.restore(GROUP, before, send)
    undo["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"].clear()

    assert before == mixed("3", "1")


# --- a version that another change makes -------------------------------------------------------------------


def test_a_default_waits_for_its_version_and_takes_it_as_a_number():
    send = {"DefaultVersion": {"made_by": "lt-1"}}

    assert ladder.awaited(send) == {"lt-1"}
    assert ladder.with_version(TEMPLATE_DEFAULT, send, 7) == {"DefaultVersion": 7}
    assert send == {"DefaultVersion": {"made_by": "lt-1"}}


def test_a_group_takes_each_templates_version_as_a_string_and_waits_for_the_rest():
    send = mixed({"made_by": "lt-1"}, {"made_by": "lt-2"})

    first = ladder.with_version(GROUP, send, 7, template_id="lt-1")

    assert first == mixed("7", {"made_by": "lt-2"})
    assert ladder.awaited(first) == {"lt-2"}
    assert ladder.with_version(GROUP, first, 4, template_id="lt-2") == mixed("7", "4")


def test_no_specification_takes_the_version_of_another_template():
    send = {"LaunchTemplate": spec({"made_by": "lt-2"}, "lt-1")}

    assert ladder.awaited(ladder.with_version(GROUP, send, 7)) == {"lt-2"}


# --- before the write --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_as_it_was_planned_is_written(kind):
    before, send, _ = CHANGES[kind]

    assert ladder.before_write(kind, Seen(dict(before)), before, send).finding is Finding.GO


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_already_so_is_not_written(kind):
    before, send, after = CHANGES[kind]

    assert ladder.before_write(kind, Seen(after), before, send).finding is Finding.ALREADY


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_not_shown_is_deleted_or_kept_by_others_is_not_written(kind):
    before, send, _ = CHANGES[kind]
    looked = [None, Seen({}, gone=True), Seen(dict(before), managed="Amazon EKS")]

    found = [ladder.before_write(kind, seen, before, send).finding for seen in looked]

    assert found == [Finding.GONE, Finding.ENDED, Finding.MANAGED]


DRIFTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "an option": (INSTANCE, OPTIONS | {"HttpEndpoint": "disabled"}, "HttpEndpoint was enabled and is disabled"),
    "a default version": (TEMPLATE_DEFAULT, {"DefaultVersion": 5}, "DefaultVersion was 3 and is 5"),
    "a version of one override": (
        GROUP,
        mixed("3", "2"),
        "MixedInstancesPolicy.LaunchTemplate.Overrides[1].LaunchTemplateSpecification.Version was 1 and is 2",
    ),
    "a weight": (
        GROUP,
        mixed("3", "1", weight="4"),
        "MixedInstancesPolicy.LaunchTemplate.Overrides[0].WeightedCapacity was 2 and is 4",
    ),
    "a launch configuration instead": (
        GROUP,
        {"LaunchConfigurationName": "old"},
        "LaunchConfigurationName was None and is old",
    ),
    "enforcement": (
        REGION_DEFAULTS,
        DEFAULTS | {"HttpTokensEnforced": "enabled"},
        "HttpTokensEnforced was None and is enabled",
    ),
    "the source version": (
        TEMPLATE_VERSION,
        {"SourceVersion": 3, "MetadataOptions": {}},
        "MetadataOptions.HttpPutResponseHopLimit was 2 and is None",
    ),
}


@pytest.mark.parametrize("name", DRIFTED)
def test_what_has_drifted_is_named_field_by_field(name):
    kind, state, told = DRIFTED[name]
    before, send, _ = CHANGES[kind]

    sight = ladder.before_write(kind, Seen(state), before, send)

    assert sight.finding is Finding.DRIFTED
    assert sight.reason.startswith("Changed since the plan was made: ")
    assert told in sight.reason


def test_several_drifts_are_all_named():
    moved = DEFAULTS | {"HttpTokens": "optional", "HttpEndpoint": "enabled"}

    reason = ladder.before_write(REGION_DEFAULTS, Seen(moved), DEFAULTS, {"HttpTokens": "required"}).reason

    assert "HttpTokens was None and is optional" in reason
    assert "HttpEndpoint was None and is enabled" in reason


def test_what_is_wanted_beside_a_drift_is_a_drift():
    moved = DEFAULTS | {"HttpTokens": "required", "HttpEndpoint": "disabled"}

    found = ladder.before_write(REGION_DEFAULTS, Seen(moved), DEFAULTS, {"HttpTokens": "required"})

    assert found.finding is Finding.DRIFTED


def test_a_declarative_policy_is_told_in_its_own_words():
    sight = ladder.before_write(
        REGION_DEFAULTS, Seen({}, managed="Ask platform@."), DEFAULTS, {"HttpTokens": "required"}
    )

    assert sight.reason == "A declarative policy of the organization sets the defaults of this Region: Ask platform@."


def test_a_template_of_a_service_is_to_be_changed_there():
    sight = ladder.before_write(TEMPLATE_DEFAULT, Seen({}, managed="Amazon EKS"), {}, {})

    assert sight.reason == "Amazon EKS keeps this launch template; it is to be changed there."


def test_a_version_with_the_changes_mark_and_other_options_is_not_taken_for_it():
    before, send, after = CHANGES[TEMPLATE_VERSION]
    other = after | {"MetadataOptions": BLOCK | {"HttpTokens": "optional"}}

    sight = ladder.before_write(TEMPLATE_VERSION, Seen(other), before, send)

    assert sight.finding is Finding.DRIFTED
    assert (
        "Version 7 bears this change's mark: MetadataOptions.HttpTokens should be required and is optional"
        in sight.reason
    )


def test_a_group_planned_without_its_templates_name_or_version_is_the_same_group():
    planned = {"LaunchTemplate": {"LaunchTemplateId": "lt-1"}}

    sight = ladder.before_write(GROUP, Seen(single("$Default")), planned, single("7"))

    assert sight.finding is Finding.GO


def test_the_owners_distribution_is_not_compared():
    before, send, _ = CHANGES[GROUP]
    now = json.loads(json.dumps(before))
    now["MixedInstancesPolicy"]["InstancesDistribution"] = {"OnDemandBaseCapacity": 4}

    assert ladder.before_write(GROUP, Seen(now), before, send).finding is Finding.GO


# --- after it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_read_back_is_verified(kind):
    before, send, after = CHANGES[kind]

    assert ladder.after_write(kind, Seen(after), before, send)[0] is Check.VERIFIED


@pytest.mark.parametrize("kind", CHANGES)
def test_what_aws_does_not_show_yet_is_waited_for(kind):
    before, send, after = CHANGES[kind]
    looked = [None, Seen(dict(before)), Seen(after, settled=False)]

    assert {ladder.after_write(kind, seen, before, send)[0] for seen in looked} == {Check.WAIT}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_deleted_after_the_write_is_gone(kind):
    before, send, _ = CHANGES[kind]

    assert ladder.after_write(kind, Seen({}, gone=True), before, send)[0] is Check.GONE


def test_what_we_did_not_send_and_has_moved_is_told():
    after = DEFAULTS | {"HttpTokens": "required", "HttpTokensEnforced": "enabled"}

    found = ladder.after_write(REGION_DEFAULTS, Seen(after), DEFAULTS, {"HttpTokens": "required"})

    assert found == (
        Check.DISTURBED,
        "Done, but something else moved too: HttpTokensEnforced was None and is enabled.",
    )


def test_a_default_taken_away_reads_back_as_null():
    before = DEFAULTS | {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    send = {"HttpTokens": "no-preference", "HttpPutResponseHopLimit": -1}

    assert ladder.after_write(REGION_DEFAULTS, Seen(DEFAULTS), before, send)[0] is Check.VERIFIED


def test_a_stopped_instance_takes_it_at_its_next_start():
    before, send, after = CHANGES[INSTANCE]

    found = ladder.after_write(INSTANCE, Seen(after | {"State": "pending"}), before, send)

    assert found == (Check.VERIFIED, "Done; the instance is stopped and takes it at its next start.")


def test_the_new_version_is_told_by_its_number():
    before, send, after = CHANGES[TEMPLATE_VERSION]

    assert (
        ladder.after_write(TEMPLATE_VERSION, Seen(after), before, send)[1] == "Version 7 is made, read back from AWS."
    )
