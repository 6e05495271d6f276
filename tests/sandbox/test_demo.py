"""The demo organisation is one that people believe, and that the product can do its work on."""

from __future__ import annotations

import pytest

from sandbox.demo import SEED, demo_fleet
from sandbox.fleet.read import build
from sandbox.metrics import NO_TOKEN, REJECTED, hourly_sums
from sandbox.usage import DAY
from sandbox.world import is_shown


@pytest.fixture(scope="module")
def world():
    return build(demo_fleet(), seed=SEED)


def of(world, name):
    account = next(a for a in world.accounts.values() if a.name == name)
    return [i for region in account.regions.values() for i in region.instances.values()]


def calls(world, instances, first_day, last_day, metric=NO_TOKEN):
    start, end = world.anchor - first_day * DAY, world.anchor - last_day * DAY
    return sum(sum(hourly_sums(i, metric, int(start), end, world.anchor)[1]) for i in instances)


def test_it_is_an_organisation_of_twelve_accounts_in_three_regions(world):
    assert len(world.accounts) == 12
    assert {i.region for i in world.instances.values()} == {"us-east-1", "eu-west-1", "ap-southeast-2"}
    assert 550 <= sum(is_shown(i, world.anchor) for i in world.instances.values()) <= 650
    assert len({a.path for a in world.accounts.values()}) >= 6


@pytest.mark.parametrize("name", ["payments-staging", "retail-fulfilment"])
def test_two_accounts_are_wholly_ready(world, name):
    instances = of(world, name)
    assert 15 <= len(instances) <= 40
    for instance in instances:
        times, sums = hourly_sums(instance, NO_TOKEN, int(world.anchor - 15 * DAY), world.anchor, world.anchor)
        assert (instance.state, instance.options.mode) == ("running", "optional")
        assert instance.first_launch < world.anchor - 30 * DAY
        assert len(times) >= 15 * 24 - 1
        assert not any(sums)


@pytest.mark.parametrize(
    "name", ["payments-prod", "payments-staging", "retail-storefront", "retail-fulfilment", "data-science"]
)
def test_v1_calls_fall_over_ninety_days(world, name):
    assert calls(world, of(world, name), 14, 0) < 0.75 * calls(world, of(world, name), 90, 76)


def test_it_has_an_instance_of_every_kind(world):
    every = list(world.instances.values())
    assert {i.state for i in every} == {"running", "stopped", "terminated"}
    assert any(i.managed for i in every)
    assert any(i.options.mode == "off" for i in every)
    assert any(i.options_state(world.anchor) == "pending" for i in every)
    assert any([mode for _, mode in i.modes] == ["optional", "required", "optional"] for i in every)
    assert any(i.blueprint.usage.profile == "monthly" for i in every)
    assert any(i.blueprint.usage.missing_hours or i.blueprint.usage.gap for i in every)
    assert any(i.blueprint.lifecycle == "spot" and i.first_launch > world.anchor - 3 * DAY for i in every)
    assert any(i.blueprint.public for i in every)
    assert any("<script>" in i.name for i in every)
    assert any("\u202e" in i.name for i in every)


def test_a_spot_group_has_members_that_came_called_v1_and_went(world):
    gone = [i for i in world.instances.values() if not is_shown(i, world.anchor)]
    assert 60 <= len(gone) <= 100
    assert {(i.blueprint.asg, i.blueprint.lifecycle) for i in gone} == {("spark-workers", "spot")}
    assert all(i.runs[0].end - i.runs[0].start <= 6 * 3600 for i in gone)
    assert all(calls(world, [i], 15, 0) > 0 for i in gone)
    members = [i for i in of(world, "data-lake") if i.blueprint.asg == "spark-workers" and i not in gone]
    assert len(members) == 40
    assert {i.state for i in members} == {"running"}


def test_someone_still_calls_v1_after_being_enforced(world):
    assert calls(world, of(world, "data-lake"), 2, 0, REJECTED) > 0


def test_one_account_denies_and_one_is_without_cloudwatch(world):
    assert [a.name for a in world.accounts.values() if a.deny_assume] == ["acquired-northwind"]
    assert [a.deny for a in world.accounts.values() if a.deny] == [("cloudwatch:*@eu-west-1",)]


def test_region_defaults_are_of_every_kind(world):
    every = [r.defaults for a in world.accounts.values() for r in a.regions.values()]
    assert {d.http_tokens for d in every} == {None, "optional", "required"}
    assert {d.managed_by for d in every} == {"account", "declarative-policy"}
    assert any(d.enforced for d in every)


def test_every_finding_about_launches_is_there_once(world):
    regions = [region for account in world.accounts.values() for region in account.regions.values()]
    groups = [group for region in regions for group in region.groups.values()]
    templates = [template for region in regions for template in region.templates.values()]
    images = {version.data["ImageId"] for template in templates for version in template.versions}
    assert [g.name for g in groups if g.template_version == "$Latest"] == ["ledger-api", "checkout"]
    assert [g.name for g in groups if g.overrides] == ["etl"]
    assert [g.configuration for g in groups if g.configuration] == ["image-resizer-2019"]
    assert [len(region.spot_requests) for region in regions if region.spot_requests] == [2]
    assert [t.name for t in templates if t.operator or "eks:nodegroup-name" in t.tags] == [
        "eks-8cc7d2f1-blue",
        "eks-auto-shared",
    ]
    assert any(image in region.images and region.images[image].hidden for region in regions for image in images)
    assert any(image.startswith("resolve:ssm:") for image in images)
    assert any(region.defaults.enforced and region.groups for region in regions)
