"""Plans above the instance: what is planned, what is left out, and that nobody is moved to another version's copy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain import ladder, rungs
from migration.domain.facts import DefaultsFact
from migration.domain.launch_facts import GroupFact, ImageFact, LaunchOptions, TemplateFact, TemplateUse, VersionFact
from migration.domain.rungs import Home
from migration.domain.sources import Shelf

REGION, TEMPLATE = "eu-west-1", "lt-1"
OPTIONAL, REQUIRED = LaunchOptions(http_tokens="optional"), LaunchOptions(http_tokens="required")
UNSAID = DefaultsFact()


def shelf(*versions, default=1, defaults=UNSAID, provider="", images=()):
    """A template `web` with these versions' options, from 1 on."""
    return Shelf(
        region=REGION,
        defaults=defaults,
        templates={TEMPLATE: TemplateFact(TEMPLATE, "web", default, len(versions), provider)},
        versions={
            (TEMPLATE, number): VersionFact(TEMPLATE, number, options, "ami-1")
            for number, options in enumerate(versions, 1)
        },
        images={"ami-1": ImageFact("ami-1", readable=True, owner="1"), **{one.image_id: one for one in images}},
    )


def group(name, version, *, mixed=False, **more):
    spec = {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": "web", "Version": version}
    whole = {"LaunchTemplate": spec}
    if mixed:
        inner = {"LaunchTemplateSpecification": spec, "Overrides": [{"InstanceType": "m5.large"}]}
        whole = {"MixedInstancesPolicy": {"LaunchTemplate": inner}}
    return GroupFact(name, uses=(TemplateUse(TEMPLATE, "web", version),), mixed=mixed, specification=whole, **more)


def home(shelf_, *groups, **more):
    more.setdefault("by_template", {TEMPLATE: {"ready": 3}})
    return Home(region=REGION, account_id="1", shelf=shelf_, groups=groups, **more)


def kinds(drawn):
    return [(item["kind"], item["resource_id"]) for item in drawn.items]


def reasons(drawn):
    return [item["reason"] for item in drawn.excluded]


# --- templates ---------------------------------------------------------------------------------------------


def test_the_new_version_is_made_from_the_default_and_states_the_whole_block():
    stated = LaunchOptions(http_tokens="optional", http_put_response_hop_limit=2, instance_metadata_tags="enabled")

    version, default = rungs.templates(home(shelf(stated))).items

    assert version["before"] == {
        "SourceVersion": 1,
        "MetadataOptions": {
            "HttpTokens": "optional",
            "HttpPutResponseHopLimit": 2,
            "InstanceMetadataTags": "enabled",
        },
    }
    assert version["send"] == {
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "InstanceMetadataTags": "enabled",
        }
    }
    assert default["send"] == {"DefaultVersion": {"made_by": TEMPLATE}}
    assert default["needs"] == [ladder.TEMPLATE_VERSION, REGION, TEMPLATE]


def test_a_safe_template_is_neither_planned_nor_left_out():
    drawn = rungs.templates(home(shelf(REQUIRED)))

    assert (drawn.items, drawn.excluded) == ([], [])


@pytest.mark.parametrize("status", ["in_use", "unknown", "settling", "regressed", "waived"])
def test_a_template_with_an_instance_that_may_need_v1_is_left_out(status):
    drawn = rungs.templates(home(shelf(OPTIONAL), by_template={TEMPLATE: {"ready": 5, status: 1}}))

    assert drawn.items == []
    assert "What it launches may still need IMDSv1: 1 " in reasons(drawn)[0]


def test_a_template_that_a_service_keeps_is_left_to_it():
    drawn = rungs.templates(home(shelf(OPTIONAL, provider="Amazon EKS")))

    assert (drawn.items, reasons(drawn)) == ([], ["Amazon EKS keeps this template; change it there."])


def test_of_a_template_nothing_runs_of_it_is_said_that_nothing_is_known():
    version, _ = rungs.templates(home(shelf(OPTIONAL), by_template={})).items

    assert "nothing is known of what it would run" in version["warnings"][0]


def test_a_hop_limit_of_one_is_warned_of():
    version, _ = rungs.templates(home(shelf(OPTIONAL))).items

    assert [warning for warning in version["warnings"] if "hop limit 1" in warning]


def test_where_launches_were_not_read_whole_nothing_is_planned():
    drawn = rungs.templates(home(shelf(OPTIONAL), complete=False))

    assert (drawn.items, len(drawn.excluded)) == ([], 1)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_group_that_pins_the_default_is_moved_with_it(mixed):
    drawn = rungs.templates(home(shelf(OPTIONAL), group("pins", "1", mixed=mixed)))

    assert kinds(drawn)[-1] == (ladder.GROUP, "pins")
    moved = drawn.items[-1]["send"]
    assert ladder.awaited(moved) == {TEMPLATE}
    assert (
        ladder.with_version(ladder.GROUP, moved, 2, template_id=TEMPLATE)
        == group("pins", "2", mixed=mixed).specification
    )


@pytest.mark.parametrize("alias", ["$Default", "$Latest"])
def test_a_group_that_follows_needs_no_change(alias):
    drawn = rungs.templates(home(shelf(OPTIONAL), group("follows", alias)))

    assert ladder.GROUP not in dict(kinds(drawn))


def test_a_group_that_pins_another_version_is_not_moved_to_a_copy_of_the_default():
    drawn = rungs.templates(home(shelf(OPTIONAL, OPTIONAL), group("pins", "2")))

    assert ladder.GROUP not in dict(kinds(drawn))
    assert reasons(drawn) == ["It pins version 2 of web, and the new version is made from 1: not moved."]


def test_a_group_on_latest_blocks_a_copy_of_an_older_version():
    drawn = rungs.templates(home(shelf(OPTIONAL, OPTIONAL), group("latest", "$Latest")))

    assert drawn.items == []
    assert "would become $Latest" in reasons(drawn)[0]


def test_a_safe_default_beside_a_pinned_unsafe_version_gets_no_new_default():
    drawn = rungs.templates(home(shelf(OPTIONAL, REQUIRED, default=2), group("pins", "1")))

    assert kinds(drawn) == [(ladder.TEMPLATE_VERSION, TEMPLATE), (ladder.GROUP, "pins")]
    assert drawn.items[0]["before"]["SourceVersion"] == 1


def test_a_group_whose_specification_was_not_read_waits_for_the_next_pass():
    bare = GroupFact("pins", uses=(TemplateUse(TEMPLATE, "web", "1"),))

    assert "not read in full yet" in reasons(rungs.templates(home(shelf(OPTIONAL), bare)))[0]


def test_a_launch_configuration_is_never_planned():
    old = GroupFact("old", launch_configuration="lc-1")

    assert "cannot be edited" in reasons(rungs.templates(home(shelf(REQUIRED), old)))[0]


@given(
    st.lists(st.sampled_from([OPTIONAL, REQUIRED, LaunchOptions()]), min_size=1, max_size=4),
    st.data(),
)
def test_nobody_is_ever_moved_to_a_version_made_from_another_one(versions, data):
    default = data.draw(st.integers(1, len(versions)))
    named = st.sampled_from(["$Default", "$Latest", *map(str, range(1, len(versions) + 1))])
    groups = [group(f"g{at}", version) for at, version in enumerate(data.draw(st.lists(named, max_size=4)))]

    drawn = rungs.templates(home(shelf(*versions, default=default), *groups))

    made = [item for item in drawn.items if item["kind"] == ladder.TEMPLATE_VERSION]
    assert len(made) <= 1
    for item in drawn.items:
        source = made[0]["before"]["SourceVersion"]
        if item["kind"] == ladder.TEMPLATE_DEFAULT:
            assert item["before"]["DefaultVersion"] == source
        if item["kind"] == ladder.GROUP:
            assert item["before"]["LaunchTemplate"]["Version"] == str(source)
    if made and any(use.version == "$Latest" for one in groups for use in one.uses):
        assert made[0]["before"]["SourceVersion"] == len(versions)


# --- AMIs, defaults, enforcement ---------------------------------------------------------------------------


def test_only_own_readable_images_that_say_nothing_are_flagged():
    others = [
        ImageFact("ami-2", readable=True, owner="2"),
        ImageFact("ami-3", readable=True, owner="1", imds_support="v2.0"),
        ImageFact("ami-4", readable=False),
    ]

    drawn = rungs.images(home(shelf(images=others)))

    assert kinds(drawn) == [(ladder.IMAGE, "ami-1")]
    assert drawn.items[0]["warnings"] == [rungs.IRREVERSIBLE]
    assert reasons(drawn) == ["It belongs to 2, which alone can change it."]


def test_defaults_send_only_what_is_not_so_yet():
    def sent(defaults, **said):
        return [item["send"] for item in rungs.defaults(home(shelf(defaults=defaults)), **said).items]

    assert sent(DefaultsFact()) == [{"HttpTokens": "required"}]
    assert sent(DefaultsFact(http_tokens="required")) == []
    assert sent(DefaultsFact(http_tokens="required"), hop_limit=2) == [{"HttpPutResponseHopLimit": 2}]


@pytest.mark.parametrize("draw", [rungs.defaults, rungs.enforcement, rungs.lift])
def test_what_a_declarative_policy_holds_is_locked(draw):
    held = DefaultsFact(
        http_tokens_enforced="enabled", managed_by="declarative-policy", managed_exception_message="Ask IT."
    )

    drawn = draw(home(shelf(defaults=held)))

    assert drawn.items == []
    assert (drawn.excluded[0]["status"], "Ask IT." in reasons(drawn)[0]) == ("locked", True)


@pytest.mark.parametrize("draw", [rungs.defaults, rungs.enforcement, rungs.lift])
def test_defaults_that_were_not_read_are_unknown_and_not_planned(draw):
    drawn = draw(home(shelf(defaults=None)))

    assert (drawn.items, drawn.excluded[0]["status"]) == ([], "unknown")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"complete": False}, "was not read whole lately"),
        ({"unsafe": {"fails": 2}}, "Not every launch source here is safe under enforcement: 2 launch fails"),
        ({"unsafe": {"unknown": 1}}, "1 not known"),
        ({"everything": {"enforced": 9, "ready": 1}}, "Not every instance here requires IMDSv2: 1 ready"),
        ({"everything": {"waived": 1}}, "1 waived"),
    ],
)
def test_enforcement_waits_until_everything_is_clean(said, why):
    drawn = rungs.enforcement(home(shelf(), **said))

    assert drawn.items == []
    assert why in reasons(drawn)[0]


def test_enforcement_is_planned_when_everything_is_clean():
    clean = {"enforced": 9, "imds_off": 1, "managed": 1, "gone": 4}

    (item,) = rungs.enforcement(home(shelf(), everything=clean)).items

    assert item["send"] == {"HttpTokensEnforced": "enabled"}
    assert "no instance can be put back" in item["warnings"][0]


def test_lifting_is_planned_only_where_it_is_on():
    on = DefaultsFact(http_tokens_enforced="enabled", managed_by="account")

    assert [item["send"] for item in rungs.lift(home(shelf(defaults=on))).items] == [{"HttpTokensEnforced": "disabled"}]
    assert rungs.lift(home(shelf())).items == []
