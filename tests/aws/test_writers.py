"""The writes above the instance, with the enforcer's role: over real HTTP against the pretend AWS."""

import re
from typing import Any

import pytest

from migration.aws import errors, retry
from migration.aws.enforcer import WRITERS, dry_run
from migration.domain import ladder
from migration.domain.live import Check, Finding
from tests.aws.rungs import (
    DISK,
    ENFORCER,
    READER,
    REGION,
    SCRATCH,
    SPEC,
    TOKEN,
    Scripted,
    edge,
    fleet,
    group_change,
    image,
    member,
    read,
    template,
    write,
)

REQUIRED = {"MetadataOptions": {"HttpTokens": "required"}}


@pytest.fixture(autouse=True)
def _one_edge_and_no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda *_, **__: None)
    yield
    edge.cache_clear()


def make(sandbox, *, source=1, token=TOKEN, **send):
    stated = template(sandbox).version(str(source)).data.get("MetadataOptions", {})
    before = {"SourceVersion": source, "MetadataOptions": stated}
    wanted = {"MetadataOptions": {**stated, "HttpTokens": "required", **send}}
    return write(ladder.TEMPLATE_VERSION, template(sandbox).template_id, before, wanted, token)


def test_there_is_a_writer_for_every_kind():
    assert set(WRITERS) == set(ladder.KINDS)


def test_every_write_tells_aws_request_id_and_is_read_again_as_done(aws):
    """The whole way of each kind: read, judge, write, read, judge."""
    sandbox = aws(fleet())
    web = template(sandbox).template_id
    group = {"LaunchTemplate": {"LaunchTemplateId": web, "LaunchTemplateName": "web"}}
    changes: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        ladder.TEMPLATE_VERSION: (web, {"SourceVersion": 1, "MetadataOptions": {}}, REQUIRED),
        ladder.TEMPLATE_DEFAULT: (web, {"DefaultVersion": 1}, {"DefaultVersion": 2}),
        ladder.GROUP: (
            "one",
            {"LaunchTemplate": {**group["LaunchTemplate"], "Version": "1"}},
            {"LaunchTemplate": {**group["LaunchTemplate"], "Version": "2"}},
        ),
        ladder.IMAGE: (image(sandbox, "plain"), {"ImdsSupport": None}, {"ImdsSupport": "v2.0"}),
        ladder.REGION_DEFAULTS: (REGION, dict.fromkeys(ladder.DEFAULTS), {"HttpTokens": "required"}),
    }
    for kind, (resource_id, before, send) in changes.items():
        assert ladder.before_write(kind, read(kind, resource_id), before, send).finding == Finding.GO, kind
        assert re.fullmatch(r"[0-9a-f-]{36}", write(kind, resource_id, before, send)), kind
        assert ladder.after_write(kind, read(kind, resource_id), before, send)[0] == Check.VERIFIED, kind
        assert ladder.before_write(kind, read(kind, resource_id), before, send).finding == Finding.ALREADY, kind


def test_an_instance_is_written_by_the_same_table(aws):
    sandbox = aws(fleet())
    instance_id = next(one.instance_id for one in member(sandbox).held())

    write(ladder.INSTANCE, instance_id, {}, {"HttpTokens": "required"}, "")

    (call,) = sandbox.calls(operation="ModifyInstanceMetadataOptions")
    assert (call["role_name"], call["applied"]) == ("imdsdash-enforcer", True)


# --- new versions --------------------------------------------------------------------------------------------


def test_a_new_version_differs_from_its_source_in_its_metadata_options_alone(aws):
    sandbox = aws(fleet())
    source = template(sandbox).versions[1]
    source.data |= {"UserData": "c2VjcmV0", "InstanceType": "m5.large"}

    make(sandbox, source=2)

    made = template(sandbox).versions[2]
    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 3}
    assert made.data == {**source.data, "MetadataOptions": options}
    assert made.description == TOKEN


def test_a_lost_answer_asked_again_with_the_same_token_makes_one_version(aws):
    sandbox = aws(fleet(), faults=[{"kind": "apply_then_drop", "operation": "CreateLaunchTemplateVersion", "times": 1}])
    with pytest.raises(errors.Unreachable) as lost:
        make(sandbox)
    assert not lost.value.answered

    make(sandbox)

    assert [one.number for one in template(sandbox).versions] == [1, 2, 3]
    assert len(sandbox.calls(operation="CreateLaunchTemplateVersion")) == 2
    assert read(ladder.TEMPLATE_VERSION, template(sandbox).template_id).state["VersionNumber"] == 3


def test_another_token_makes_another_version(aws):
    sandbox = aws(fleet())
    make(sandbox)
    make(sandbox, token="imdsdash-change-8")

    assert [one.description for one in template(sandbox).versions[2:]] == [TOKEN, "imdsdash-change-8"]


def test_the_snapshots_of_the_source_are_kept(aws):
    """They are ignored unless they are sent again (EC2 API, CreateLaunchTemplateVersion)."""
    sandbox = aws(fleet())
    template(sandbox).versions[0].data["BlockDeviceMappings"] = [DISK, SCRATCH]

    make(sandbox)

    assert template(sandbox).versions[2].data["BlockDeviceMappings"] == [DISK, SCRATCH]


def test_block_devices_without_a_snapshot_are_inherited_and_not_sent():
    told = {"LaunchTemplateId": "lt-1", "VersionNumber": 1, "LaunchTemplateData": {"BlockDeviceMappings": [SCRATCH]}}
    scripted = Scripted({"LaunchTemplateVersions": [told]}, {})

    before = {"SourceVersion": 1, "MetadataOptions": {}}
    write(ladder.TEMPLATE_VERSION, "lt-1", before, REQUIRED, by=scripted)

    assert scripted.asked[1] == {
        "operation": "create_launch_template_version",
        "once": True,
        "LaunchTemplateId": "lt-1",
        "SourceVersion": "1",
        "LaunchTemplateData": REQUIRED,
        "VersionDescription": TOKEN,
        "ClientToken": TOKEN,
    }


def test_every_member_of_a_block_device_travels():
    ebs = {
        "SnapshotId": "snap-1", "VolumeSize": 30, "VolumeType": "io2", "Iops": 4000, "Throughput": 250,
        "Encrypted": True, "KmsKeyId": "key", "DeleteOnTermination": False, "VolumeInitializationRate": 100,
    }  # fmt: skip
    devices = [{"DeviceName": "/dev/xvda", "Ebs": ebs}, {"DeviceName": "/dev/xvdc", "NoDevice": ""}]
    told = {"LaunchTemplateId": "lt-1", "VersionNumber": 1, "LaunchTemplateData": {"BlockDeviceMappings": devices}}
    scripted = Scripted({"LaunchTemplateVersions": [told]}, {})

    write(ladder.TEMPLATE_VERSION, "lt-1", {"SourceVersion": 1, "MetadataOptions": {}}, REQUIRED, by=scripted)

    assert scripted.asked[1]["LaunchTemplateData"] == {**REQUIRED, "BlockDeviceMappings": devices}


def test_nothing_is_sent_where_the_source_cannot_be_read(aws):
    sandbox = aws(fleet(deny=["ec2:DescribeLaunchTemplateVersions"]))

    with pytest.raises(errors.Denied) as denied:
        make(sandbox)

    assert denied.value.operation == "DescribeLaunchTemplateVersions"
    assert sandbox.calls(operation="CreateLaunchTemplateVersion") == []


def test_a_source_that_is_not_shown_makes_no_version():
    with pytest.raises(errors.Passing, match="does not show version 1 of lt-1"):
        write(
            ladder.TEMPLATE_VERSION,
            "lt-1",
            {"SourceVersion": 1, "MetadataOptions": {}},
            REQUIRED,
            by=Scripted({"LaunchTemplateVersions": []}),
        )


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        ({"HttpEndpoint": "disabled"}, {"HttpTokens": "required", "HttpEndpoint": "enabled"}),
        ({"HttpEndpoint": "disabled"}, {"HttpTokens": "required"}),
        ({}, {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}),
    ],
)
def test_a_version_changes_tokens_and_hop_limit_and_nothing_else(stated, wanted):
    """A block that leaves the source's endpoint out may open IMDS: whether blocks are merged AWS does not say."""
    before = {"SourceVersion": 1, "MetadataOptions": stated}

    with pytest.raises(ValueError, match="may differ from the source"):
        write(ladder.TEMPLATE_VERSION, "lt-1", before, {"MetadataOptions": wanted}, by=Scripted())


@pytest.mark.parametrize("token", ["", "x" * 129, "ü"])
@pytest.mark.parametrize(
    ("kind", "before", "send"),
    [
        (ladder.TEMPLATE_VERSION, {"SourceVersion": 1, "MetadataOptions": {}}, REQUIRED),
        (ladder.TEMPLATE_DEFAULT, {"DefaultVersion": 1}, {"DefaultVersion": 2}),
    ],
)
def test_a_change_without_a_token_of_its_own_is_not_sent(kind, before, send, token):
    told = {"LaunchTemplateVersions": [{"LaunchTemplateId": "lt-1", "VersionNumber": 1}]}

    with pytest.raises(ValueError, match="ClientToken"):
        write(kind, "lt-1", before, send, token, by=Scripted(told))


def test_a_lost_answer_moves_no_default_a_second_time(aws):
    """What somebody moved since, by hand, stays: the token has acted."""
    sandbox = aws(fleet(), faults=[{"kind": "apply_then_drop", "operation": "ModifyLaunchTemplate", "times": 1}])
    asked = (ladder.TEMPLATE_DEFAULT, template(sandbox).template_id, {"DefaultVersion": 1}, {"DefaultVersion": 2})
    with pytest.raises(errors.Unreachable):
        write(*asked)
    template(sandbox).default_version = 1

    write(*asked)

    assert template(sandbox).default_version == 1


# --- AMIs and defaults ---------------------------------------------------------------------------------------


def test_defaults_are_put_back_to_no_preference(aws):
    """A field that is left out keeps its value (EC2 API)."""
    sandbox = aws(fleet())
    before = {**dict.fromkeys(ladder.DEFAULTS), "HttpTokens": "optional"}
    send = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpTokensEnforced": "enabled"}
    member(sandbox).defaults.http_tokens = "optional"
    write(ladder.REGION_DEFAULTS, REGION, before, send)
    after = read(ladder.REGION_DEFAULTS, REGION).state
    assert after == {**before, **send}

    write(ladder.REGION_DEFAULTS, REGION, after, ladder.restore(ladder.REGION_DEFAULTS, before, send))

    assert read(ladder.REGION_DEFAULTS, REGION).state == before


@pytest.mark.parametrize(
    ("region", "send"),
    [
        (REGION, {}),
        (REGION, {"HttpEndpoint": "disabled"}),
        (REGION, {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}),
        (REGION, {"HttpTokens": None}),
        ("eu-west-1", {"HttpTokens": "required"}),
    ],
)
def test_only_tokens_hop_limit_and_enforcement_travel_and_to_their_own_region(region, send):
    with pytest.raises(ValueError, match="may"):
        write(ladder.REGION_DEFAULTS, region, {}, send, by=Scripted())


def test_a_declarative_policy_refuses_in_its_own_words(aws):
    managed = {"defaults": {"managed_by": "declarative-policy", "exception_message": "Ask platform@example.com."}}
    aws(fleet(regions={REGION: managed}))

    with pytest.raises(errors.Refused, match=r"Ask platform@example\.com"):
        write(ladder.REGION_DEFAULTS, REGION, {}, {"HttpTokensEnforced": "enabled"})


@pytest.mark.parametrize("send", [{}, {"ImdsSupport": None}, {"ImdsSupport": "v2.0", "Description": "x"}])
def test_an_ami_is_flagged_and_nothing_else(send):
    with pytest.raises(ValueError, match="only"):
        write(ladder.IMAGE, "ami-1", {}, send, by=Scripted())


# --- every write ---------------------------------------------------------------------------------------------


def changes(sandbox):
    """A permitted change of every kind that EC2 has a DryRun for."""
    web = template(sandbox).template_id
    instance_id = next(one.instance_id for one in member(sandbox).held())
    return {
        ladder.INSTANCE: (instance_id, {"HttpTokens": "required"}),
        ladder.TEMPLATE_VERSION: (web, REQUIRED),
        ladder.TEMPLATE_DEFAULT: (web, {"DefaultVersion": {ladder.MADE_BY: web}}),
        ladder.IMAGE: (image(sandbox, "plain"), {"ImdsSupport": "v2.0"}),
        ladder.REGION_DEFAULTS: (REGION, {"HttpTokens": "required"}),
    }


def test_a_dry_run_tells_what_would_come_of_it_and_changes_nothing(aws):
    sandbox = aws(fleet())
    for role, told in ((ENFORCER, ""), (READER, "UnauthorizedOperation")):
        found = {
            kind: dry_run(edge(), role, REGION, kind, resource_id, send)
            for kind, (resource_id, send) in changes(sandbox).items()
        }
        assert found == dict.fromkeys(changes(sandbox), told)

    assert not [call for call in sandbox.calls() if call["applied"]]
    assert len(template(sandbox).versions) == 2


def test_auto_scaling_has_no_dry_run_and_none_is_sent():
    nobody: Any = Scripted()

    assert dry_run(nobody, ENFORCER, REGION, ladder.GROUP, "g", {"LaunchTemplate": SPEC}) is None


def test_a_dry_run_of_a_known_default_names_it(aws):
    sandbox = aws(fleet())
    web = template(sandbox).template_id

    assert dry_run(edge(), ENFORCER, REGION, ladder.TEMPLATE_DEFAULT, web, {"DefaultVersion": 2}) == ""
    missing = dry_run(edge(), ENFORCER, REGION, ladder.TEMPLATE_DEFAULT, web, {"DefaultVersion": 9})

    assert missing == "InvalidLaunchTemplateId.VersionNotFound"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"kind": "throttle"}, errors.Throttled), ({"kind": "drop"}, errors.Unreachable)],
    ids=["throttled", "dropped"],
)
def test_a_dry_run_that_aws_does_not_answer_tells_nothing(aws, fault, kind):
    aws(fleet(), faults=[{**fault, "operation": "ModifyInstanceMetadataDefaults"}])

    with pytest.raises(kind):
        dry_run(edge(), ENFORCER, REGION, ladder.REGION_DEFAULTS, REGION, {"HttpTokens": "required"})


def test_a_dry_run_that_is_answered_as_a_write_is_no_success():
    answering: Any = Scripted({"Return": True})

    with pytest.raises(errors.Unreachable, match="may have been one"):
        dry_run(answering, ENFORCER, REGION, ladder.REGION_DEFAULTS, REGION, {"HttpTokens": "required"})


@pytest.mark.parametrize("kind", ladder.KINDS)
def test_no_write_is_sent_twice_by_itself(aws, kind):
    sandbox = aws(fleet())
    asked = {**changes(sandbox), ladder.TEMPLATE_DEFAULT: (template(sandbox).template_id, {"DefaultVersion": 2})}
    before: dict[str, Any] = {"SourceVersion": 1, "MetadataOptions": {}}
    if kind == ladder.GROUP:
        _, name, before, after = group_change(sandbox)
        asked[kind] = (name, after)
    names = ("Modify*", "Create*", "Update*")
    sandbox.set_faults([{"kind": "error", "operation": one, "code": "InternalError"} for one in names])
    sandbox.clear_calls()

    with pytest.raises(errors.Passing):
        write(kind, asked[kind][0], before, asked[kind][1])

    assert len([call for call in sandbox.calls() if call["operation"].startswith(("Modify", "Create", "Update"))]) == 1


def test_what_the_cut_model_does_not_have_cannot_be_sent():
    """The last door: botocore refuses a parameter its model does not know."""
    for service, operation, asked in (
        ("ec2", "modify_image_attribute", {"ImageId": "ami-1", "LaunchPermission": {}}),
        ("ec2", "create_launch_template_version", {"LaunchTemplateData": {"UserData": "x"}}),
        ("autoscaling", "update_auto_scaling_group", {"AutoScalingGroupName": "g", "MaxSize": 1}),
    ):
        with pytest.raises(errors.AwsError, match="Unknown parameter"):
            _sent_by_nobody(service, operation, asked)


def _sent_by_nobody(service, operation, asked):
    client = edge()._client(service, REGION)
    try:
        getattr(client, operation)(**asked)
    except Exception as error:
        raise errors.translate(error, operation=operation, place="here") from error
