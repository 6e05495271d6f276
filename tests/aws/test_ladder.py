"""What stands above the instance, read with the reader's role: over real HTTP against the pretend AWS."""

from typing import Any

import pytest

from migration.aws import errors, ladder, retry
from migration.aws.enforcer import WRITERS
from migration.aws.ladder import READERS, Mark
from migration.domain import ladder as rungs
from migration.domain.ladder import Seen
from tests.aws.rungs import DISK, ENFORCER, READER, REGION, SCRATCH, Scripted, edge, fleet, image, member, template

ABSENT = "lt-0123456789abcdef0"
NOTHING = dict.fromkeys(rungs.DEFAULTS)


@pytest.fixture(autouse=True)
def _one_edge_and_no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda *_, **__: None)
    yield
    edge.cache_clear()


def read(kind, ids, **marks):
    return READERS[kind](edge(), READER, REGION, ids, **marks)


def version(sandbox, mark, name="web"):
    template_id = template(sandbox, name).template_id
    return read(rungs.TEMPLATE_VERSION, [template_id], marks={template_id: mark}).get(template_id)


def make(sandbox, token, source=1, tokens="required"):
    stated = template(sandbox).version(str(source)).data.get("MetadataOptions", {})
    WRITERS[rungs.TEMPLATE_VERSION](
        edge(),
        ENFORCER,
        REGION,
        template(sandbox).template_id,
        {"SourceVersion": source, "MetadataOptions": stated},
        {"MetadataOptions": {**stated, "HttpTokens": tokens}},
        token,
    )


def test_there_is_a_reader_for_every_kind_but_the_instance():
    assert set(READERS) == set(rungs.KINDS) - {rungs.INSTANCE}


# --- new versions --------------------------------------------------------------------------------------------


def test_while_no_version_bears_the_mark_the_source_is_told(aws):
    sandbox = aws(fleet())

    seen = version(sandbox, Mark(2, "change-1"))

    assert seen == Seen({"SourceVersion": 2, "MetadataOptions": {"HttpPutResponseHopLimit": 3}})


def test_a_source_that_states_nothing_states_nothing(aws):
    assert version(aws(fleet()), Mark(1, "change-1")) == Seen({"SourceVersion": 1, "MetadataOptions": {}})


def test_the_version_that_bears_the_mark_is_found_among_others(aws):
    sandbox = aws(fleet())
    make(sandbox, "change-1", source=2)
    make(sandbox, "change-2", source=2, tokens="optional")

    seen = version(sandbox, Mark(2, "change-1"))

    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 3}
    assert seen == Seen({"VersionNumber": 3, "SourceVersion": 2, "MetadataOptions": options})


def test_a_version_from_before_the_source_is_not_taken_for_the_made_one(aws):
    """Somebody may have written our token into an older description."""
    sandbox = aws(fleet())
    template(sandbox).versions[0].description = "change-1"

    seen = version(sandbox, Mark(2, "change-1"))

    assert seen is not None
    assert "VersionNumber" not in seen.state


def test_a_template_a_service_keeps_is_told_as_its(aws):
    seen = version(aws(fleet()), Mark(1, "change-1"), "eks")

    assert seen is not None
    assert seen.managed == "eks.amazonaws.com"


def test_a_source_that_is_not_shown_is_absent(aws):
    assert version(aws(fleet()), Mark(9, "change-1")) is None


def numbered(number: int, **more: Any) -> dict[str, Any]:
    return {"LaunchTemplateId": "lt-1", "VersionNumber": number, **more}


LISTED = {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 1, "LatestVersionNumber": 5}]}


def test_the_source_is_read_whether_the_least_version_is_among_those_told_or_not():
    """`MinVersion`: "the version number after which" (EC2 API). Here it is not."""
    answer = {"LaunchTemplateVersions": [numbered(5), numbered(4, LaunchTemplateData={"MetadataOptions": {}})]}
    scripted = Scripted(LISTED, answer)

    found = ladder.template_versions(scripted, READER, REGION, ["lt-1"], {"lt-1": Mark(4, "t")})  # type: ignore[arg-type]

    assert scripted.asked[1]["MinVersion"] == "3"
    assert found == {"lt-1": Seen({"SourceVersion": 4, "MetadataOptions": {}})}


def test_an_empty_page_with_a_token_is_not_the_end():
    last = {"LaunchTemplateVersions": [numbered(7, VersionDescription="t"), numbered(1)]}
    scripted = Scripted(LISTED, {"LaunchTemplateVersions": [], "NextToken": "next"}, last)

    found = ladder.template_versions(scripted, READER, REGION, ["lt-1"], {"lt-1": Mark(1, "t")})  # type: ignore[arg-type]

    assert found["lt-1"].state["VersionNumber"] == 7
    assert "MinVersion" not in scripted.asked[1]


def test_what_aws_adds_to_a_versions_options_is_no_part_of_the_state():
    stated = {"State": "applied", "HttpTokens": "optional"}
    answer = {"LaunchTemplateVersions": [numbered(1, LaunchTemplateData={"MetadataOptions": stated})]}

    found = ladder.template_versions(Scripted(LISTED, answer), READER, REGION, ["lt-1"], {"lt-1": Mark(1, "t")})  # type: ignore[arg-type]

    assert found["lt-1"].state["MetadataOptions"] == {"HttpTokens": "optional"}


def test_user_data_of_a_version_never_becomes_a_value_of_ours(aws):
    """The block devices of the same answer do: they are needed for a new version."""
    sandbox = aws(fleet())
    template(sandbox).versions[0].data |= {"UserData": "c2VjcmV0", "BlockDeviceMappings": [DISK, SCRATCH]}

    asked = {"LaunchTemplateId": template(sandbox).template_id, "Versions": ["1"]}
    answer = edge().ask(READER, "ec2", REGION, "describe_launch_template_versions", **asked)

    data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert "UserData" not in data
    assert data["BlockDeviceMappings"] == [DISK, SCRATCH]


# --- defaults of templates -----------------------------------------------------------------------------------


def test_the_default_version_of_each_template_is_read_in_one_call(aws):
    sandbox = aws(fleet())
    template(sandbox).default_version = 2
    ids = [template(sandbox, name).template_id for name in ("web", "other")]

    assert read(rungs.TEMPLATE_DEFAULT, ids) == {
        ids[0]: Seen({"DefaultVersion": 2}),
        ids[1]: Seen({"DefaultVersion": 1}),
    }
    assert len(sandbox.calls(operation="DescribeLaunchTemplates")) == 1


def test_one_template_that_is_not_shown_hides_no_other(aws):
    sandbox = aws(fleet())
    web = template(sandbox).template_id

    assert set(read(rungs.TEMPLATE_DEFAULT, [ABSENT, web])) == {web}
    assert read(rungs.TEMPLATE_DEFAULT, [ABSENT]) == {}
    assert read(rungs.TEMPLATE_VERSION, [ABSENT], marks={}) == {}


@pytest.mark.parametrize("kind", READERS)
def test_nothing_to_ask_about_is_no_call(aws, kind):
    sandbox = aws(fleet())

    assert read(kind, []) == {}
    assert sandbox.calls() == []


@pytest.mark.parametrize("kind", READERS)
def test_a_refusal_is_told_as_one(aws, kind):
    """A resource that could not be asked about must not look like one that is not there."""
    sandbox = aws(fleet(deny=["ec2:Describe*", "ec2:Get*", "autoscaling:Describe*"]))
    resource = REGION if kind == rungs.REGION_DEFAULTS else template(sandbox).template_id

    with pytest.raises(errors.Denied):
        read(kind, [resource], marks={resource: Mark(1, "t")})


# --- groups --------------------------------------------------------------------------------------------------


def test_a_group_is_read_as_what_it_launches_from(aws):
    sandbox = aws(fleet())
    own = {"LaunchTemplateId": template(sandbox).template_id, "LaunchTemplateName": "web", "Version": "1"}

    assert read(rungs.GROUP, ["one", "mixed", "gone"]) == {
        "one": Seen({"LaunchTemplate": own}),
        "mixed": Seen(
            {
                "MixedInstancesPolicy": {
                    "LaunchTemplate": {"LaunchTemplateSpecification": own, "Overrides": [{"InstanceType": "m5.large"}]}
                }
            }
        ),
    }


def test_an_override_is_read_whole(aws):
    """It is sent back whole, so nothing of it may be lost on the way."""
    sandbox = aws(fleet())
    requirements = {"VCpuCount": {"Min": 2, "Max": 4}, "MemoryMiB": {"Min": 1024}}
    overrides = [
        {"InstanceType": "m5.large", "WeightedCapacity": "2", "ImageId": "ami-1"},
        {"InstanceRequirements": requirements},
    ]
    member(sandbox).groups["mixed"].overrides = overrides

    seen = read(rungs.GROUP, ["mixed"])["mixed"]

    assert seen.state["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"] == overrides


def test_a_group_of_a_service_is_told_as_its(aws):
    aws(fleet())

    assert read(rungs.GROUP, ["eks"])["eks"].managed == "eks.amazonaws.com"


def test_a_group_that_is_being_deleted_is_gone():
    """`Status`: the state of the group when DeleteAutoScalingGroup is in progress (Auto Scaling API)."""
    assert ladder.group({"AutoScalingGroupName": "g", "Status": "Delete in progress"}).gone
    assert not ladder.group({"AutoScalingGroupName": "g"}).gone


def test_groups_are_asked_for_by_fifty():
    """AutoScalingGroupNames: up to 50 (Auto Scaling API)."""
    scripted = Scripted(*[{"AutoScalingGroups": []}] * 3)

    ladder.groups(scripted, READER, REGION, [f"g{number}" for number in range(101)])  # type: ignore[arg-type]

    assert [len(one["AutoScalingGroupNames"]) for one in scripted.asked] == [50, 50, 1]


# --- AMIs and the defaults of the Region ---------------------------------------------------------------------


def test_an_ami_of_another_account_is_that_accounts_to_change(aws):
    sandbox = aws(fleet())
    plain, theirs = image(sandbox, "plain"), image(sandbox, "theirs")

    assert read(rungs.IMAGE, [plain, theirs, "ami-0123456789abcdef0"]) == {
        plain: Seen({"ImdsSupport": None}),
        theirs: Seen({"ImdsSupport": None}, managed="Account 137112412989"),
    }


def test_a_deregistered_ami_is_gone():
    assert ladder.image({"ImageId": "ami-1", "State": "deregistered"}, "1").gone
    assert not ladder.image({"ImageId": "ami-1", "State": "available"}, "1").gone


def test_defaults_that_are_not_set_are_no_preference(aws):
    sandbox = aws(fleet())
    assert read(rungs.REGION_DEFAULTS, [REGION]) == {REGION: Seen(NOTHING)}

    member(sandbox).defaults.http_tokens = "required"

    assert read(rungs.REGION_DEFAULTS, [REGION]) == {REGION: Seen({**NOTHING, "HttpTokens": "required"})}


def test_a_region_is_asked_about_itself_only(aws):
    aws(fleet())

    assert read(rungs.REGION_DEFAULTS, ["eu-west-1"]) == {}


@pytest.mark.parametrize(("message", "told"), [("Ask us.", "Ask us."), ("", "it has no message.")])
def test_a_declarative_policy_is_told_with_its_message(aws, message, told):
    managed = {"managed_by": "declarative-policy", **({"exception_message": message} if message else {})}
    aws(fleet(regions={REGION: {"defaults": managed}}))

    assert read(rungs.REGION_DEFAULTS, [REGION])[REGION].managed == told
