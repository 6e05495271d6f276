"""The write that lets a group launch other versions, with the enforcer's role."""

import pytest

from migration.aws import errors, retry
from migration.domain import ladder
from migration.domain.live import Check
from tests.aws.rungs import SPEC, Scripted, edge, fleet, group_change, member, read, template, write

MIXED = {"OnDemandBaseCapacity": 1, "SpotAllocationStrategy": "capacity-optimized", "SpotMaxPrice": "0.5"}


@pytest.fixture(autouse=True)
def _one_edge_and_no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda *_, **__: None)
    yield
    edge.cache_clear()


def test_a_mixed_group_keeps_its_distribution_as_it_stands_at_that_moment(aws):
    """Its owner changed it after the plan was made."""
    sandbox = aws(fleet())
    change = group_change(sandbox)
    mixed = member(sandbox).groups["mixed"]
    mixed.distribution = MIXED

    write(*change)

    assert mixed.template_version == "2"
    assert {name: mixed.distribution.get(name) for name in MIXED} == MIXED
    assert mixed.overrides == [{"InstanceType": "m5.large"}]


def test_pools_are_sent_back_where_the_strategy_has_them_and_not_elsewhere(aws):
    """Valid only when the strategy is lowest-price, and refused otherwise (Auto Scaling API)."""
    sandbox = aws(fleet())
    mixed = member(sandbox).groups["mixed"]
    for distribution, pools in (({"SpotInstancePools": 4}, 4), (MIXED, None)):
        mixed.distribution, mixed.template_version = distribution, "1"

        write(*group_change(sandbox))

        assert mixed.distribution.get("SpotInstancePools") == pools


def test_overrides_with_templates_of_their_own_come_back_with_ids_alone(aws):
    """Id and name together are refused, though AWS tells both."""
    sandbox = aws(fleet())
    other = template(sandbox, "other").template_id
    spec = {"LaunchTemplateId": other, "LaunchTemplateName": "other", "Version": "1"}
    mixed = member(sandbox).groups["mixed"]
    mixed.overrides = [{"InstanceType": "m5.large", "WeightedCapacity": "2"}, {"LaunchTemplateSpecification": spec}]
    kind, name, before, after = group_change(sandbox)
    after["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"][1]["LaunchTemplateSpecification"]["Version"] = "1"

    write(kind, name, before, after)

    assert mixed.template_version == "2"
    assert mixed.overrides == [
        {"InstanceType": "m5.large", "WeightedCapacity": "2"},
        {"LaunchTemplateSpecification": spec},
    ]
    assert ladder.after_write(kind, read(kind, name), before, after)[0] == Check.VERIFIED


def test_a_group_that_moved_meanwhile_is_not_written_over(aws):
    """Its overrides would be put back to what they were when it was last looked at."""
    sandbox = aws(fleet())
    change = group_change(sandbox)
    member(sandbox).groups["mixed"].overrides = [{"InstanceType": "c5.large"}]

    with pytest.raises(errors.Passing, match=r"mixed was not updated\. Changed since the plan was made"):
        write(*change)

    assert sandbox.calls(operation="UpdateAutoScalingGroup") == []


def test_a_group_that_is_not_shown_is_not_written(aws):
    sandbox = aws(fleet())
    change = group_change(sandbox)
    del member(sandbox).groups["mixed"]

    with pytest.raises(errors.Passing, match="no longer shows"):
        write(*change)


def test_a_group_is_put_back_the_same_way(aws):
    sandbox = aws(fleet())
    member(sandbox).groups["mixed"].distribution = MIXED
    kind, name, before, after = group_change(sandbox)
    write(kind, name, before, after)

    write(kind, name, after, ladder.restore(kind, before, after))

    assert read(kind, name).state == before
    assert {key: member(sandbox).groups["mixed"].distribution.get(key) for key in MIXED} == MIXED


def test_a_group_asked_again_after_a_lost_answer_is_as_after_one(aws):
    faults = [{"kind": "apply_then_drop", "operation": "UpdateAutoScalingGroup", "times": 1}]
    sandbox = aws(fleet(), faults=faults)
    change = group_change(sandbox)
    with pytest.raises(errors.Unreachable):
        write(*change)

    write(*change)

    assert ladder.after_write(ladder.GROUP, read(ladder.GROUP, "mixed"), *change[2:])[0] == Check.VERIFIED


@pytest.mark.parametrize(
    ("before", "send", "says"),
    [
        ({"LaunchTemplate": SPEC}, {"LaunchTemplate": {**SPEC, "LaunchTemplateId": "lt-2"}}, "only versions"),
        ({"LaunchConfigurationName": "c"}, {"LaunchTemplate": SPEC}, "only versions"),
        ({"LaunchTemplate": SPEC}, {"LaunchTemplate": {**SPEC, "Version": {"made_by": "lt-1"}}}, "not known yet"),
        ({"LaunchConfigurationName": "c"}, {"LaunchConfigurationName": "d"}, "only"),
        ({"LaunchTemplate": SPEC}, {"LaunchTemplate": SPEC, "MaxSize": 9}, "only"),
    ],
)
def test_a_group_changes_versions_of_its_templates_and_nothing_else(before, send, says):
    with pytest.raises(ValueError, match=says):
        write(ladder.GROUP, "g", before, send, by=Scripted())


def test_a_group_that_scales_may_be_written_later(aws):
    busy = {"kind": "error", "operation": "UpdateAutoScalingGroup", "code": "ScalingActivityInProgress", "status": 400}
    sandbox = aws(fleet(), faults=[busy])

    with pytest.raises(errors.Passing):
        write(*group_change(sandbox))
