"""The rungs above the instance, end to end: planned, approved, written, read back, and put back."""

import pytest
from django.utils import timezone

from migration.actions import requests, rollback, rungs
from migration.actions.errors import Refused
from migration.domain.plan import Scope
from migration.enums import ChangeState, RequestKind, Role, RunState, ScopeKind
from migration.models import Account, AuditEvent, Change, RegionDefaults, Workload
from migration.tasks import enforcement as tasks
from tests import factories, fleets
from tests.tasks.story import collected

pytestmark = pytest.mark.django_db


def fleet(**more):
    """An account with a template of two versions: both allow IMDSv1; groups that follow $Default, $Latest and a pin."""
    found = fleets.alone(
        {"count": 2, "name_prefix": "web", **fleets.QUIET, "http_tokens": "required"},
        images=[{"name": "plain"}],
        launch_templates=[{"name": "web", "versions": [{"ami": "plain", "http_tokens": "optional"}]}],
        auto_scaling_groups=[
            {"name": "follows", "launch_template": "web:$Default"},
            {"name": "pins", "launch_template": "web:1"},
            {"name": "mixed", "launch_template": "web:1", "overrides": [{"instance_type": "m5.large"}]},
        ],
    )
    found["accounts"][0] |= more
    return found


@pytest.fixture
def people():
    return factories.user("ellen", Role.ENGINEER), factories.user("adam", Role.APPROVER)


def climb(kind, people, **said):
    """Draft, ask, approve, drive."""
    draft = rungs.draft(account=Account.objects.get(), by=people[0], now=timezone.now(), kind=kind, **said)
    return carry_out(draft, people)


def carry_out(draft, people):
    ellen, adam = people
    now = timezone.now()
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=now)
    run = requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=now)
    tasks.drive_run(run.pk)
    run.refresh_from_db()
    return run


def put_back(run, people):
    return carry_out(rollback.draft(run=run, by=people[0], now=timezone.now()), people)


def told(run):
    return {(row.kind, row.resource_id): (row.state, row.reason) for row in run.changes.all()}


def region_of(sandbox):
    account = next(iter(sandbox.world.accounts.values()))
    return account.regions["us-east-1"]


def template_of(sandbox):
    return next(iter(region_of(sandbox).templates.values()))


def make_clean(sandbox, people):
    """Every launch is safe, and has been looked at since."""
    collected(sandbox)
    climb(RequestKind.TEMPLATES, people)
    climb(RequestKind.DEFAULTS, people)
    collected(sandbox)


def test_a_template_gets_one_version_its_default_moves_and_pinned_groups_follow(aws, people):
    sandbox = aws(fleet())
    collected(sandbox)

    run = climb(RequestKind.TEMPLATES, people)

    template, region = template_of(sandbox), region_of(sandbox)
    assert run.state == RunState.DONE, told(run)
    assert [version.number for version in template.versions] == [1, 2]
    assert template.versions[1].data["MetadataOptions"]["HttpTokens"] == "required"
    assert template.versions[0].data["MetadataOptions"]["HttpTokens"] == "optional"
    assert template.default_version == 2
    assert [region.groups[name].template_version for name in ("follows", "pins", "mixed")] == ["$Default", "2", "2"]


def test_putting_templates_back_moves_default_and_groups_and_leaves_the_version(aws, people):
    sandbox = aws(fleet())
    collected(sandbox)
    run = climb(RequestKind.TEMPLATES, people)

    back = put_back(run, people)

    template, region = template_of(sandbox), region_of(sandbox)
    assert back.state == RunState.DONE, told(back)
    assert (template.default_version, len(template.versions)) == (1, 2)
    assert [region.groups[name].template_version for name in ("pins", "mixed")] == ["1", "1"]


def test_region_defaults_are_set_and_put_back_to_no_preference(aws, people):
    sandbox = aws(fleet())
    collected(sandbox)

    run = climb(RequestKind.DEFAULTS, people, hop_limit=2)
    after = RegionDefaults.objects.get()
    back = put_back(run, people)

    assert (run.state, back.state) == (RunState.DONE, RunState.DONE), told(back)
    assert (after.http_tokens, after.http_put_response_hop_limit) == ("required", 2)
    assert back.changes.get().send == {"HttpTokens": "no-preference", "HttpPutResponseHopLimit": -1}
    now = RegionDefaults.objects.get()
    assert (now.http_tokens, now.http_put_response_hop_limit) == (None, None)


def test_enforcement_is_refused_while_a_launch_source_is_not_safe(aws, people):
    collected(aws(fleet()))

    with pytest.raises(Refused, match="Not every launch source here is safe under enforcement"):
        climb(RequestKind.ENFORCEMENT, people)


def test_enforcement_is_set_once_everything_is_clean_and_lifted_by_a_plan_of_its_own(aws, people):
    sandbox = aws(fleet())
    make_clean(sandbox, people)

    run = climb(RequestKind.ENFORCEMENT, people)
    on = RegionDefaults.objects.get().http_tokens_enforced
    lifted = climb(RequestKind.LIFT, people)

    assert (run.state, on) == (RunState.DONE, "enabled"), told(run)
    assert lifted.state == RunState.DONE
    assert RegionDefaults.objects.get().http_tokens_enforced == "disabled"


def test_enforcement_that_is_no_longer_clean_when_its_turn_comes_is_skipped(aws, people):
    sandbox = aws(fleet())
    make_clean(sandbox, people)
    ellen, adam = people
    now = timezone.now()
    draft = rungs.draft(account=Account.objects.get(), by=ellen, now=now, kind=RequestKind.ENFORCEMENT)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=now)
    run = requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=now)
    account = Account.objects.get()
    account.instances.update(status="in_use", status_reason="3 calls.")
    sandbox.clear_calls()

    tasks.drive_run(run.pk)

    change = Change.objects.get(run=run)
    assert (change.state, sandbox.calls(operation="ModifyInstanceMetadataDefaults")) == (ChangeState.SKIPPED, [])
    assert "No longer safe to enforce" in change.reason


def test_defaults_that_a_declarative_policy_holds_are_shown_locked(aws, people):
    held = {"us-east-1": {"defaults": {"http_tokens": "required", "managed_by": "declarative-policy"}}}
    collected(aws(fleet(regions=held)))

    with pytest.raises(Refused, match="A declarative policy of the organization holds these defaults"):
        climb(RequestKind.DEFAULTS, people)


def test_images_are_off_until_somebody_switches_them_on(aws, people):
    collected(aws(fleet()))

    with pytest.raises(Refused, match="switched off"):
        climb(RequestKind.IMAGES, people)


def test_an_image_is_flagged_and_can_never_be_put_back(aws, people, settings):
    settings.IMDSDASH_IMAGES = True
    sandbox = aws(fleet())
    collected(sandbox)

    run = climb(RequestKind.IMAGES, people)

    assert run.state == RunState.DONE, told(run)
    with pytest.raises(Refused, match="AWS lets nobody take this back"):
        put_back(run, people)


def test_a_version_whose_answer_was_lost_is_made_once(aws, people):
    sandbox = aws(fleet())
    collected(sandbox)
    sandbox.set_faults([{"kind": "apply_then_drop", "operation": "CreateLaunchTemplateVersion", "times": 1}])

    run = climb(RequestKind.TEMPLATES, people)

    assert run.state == RunState.DONE, told(run)
    assert len(template_of(sandbox).versions) == 2


def test_a_template_whose_instances_are_in_use_is_left_out(aws, people):
    sandbox = aws(fleet())
    collected(sandbox)
    account, template = Account.objects.get(), template_of(sandbox)
    account.instances.update(launch_template_id=template.template_id, status="in_use", http_tokens="optional")

    with pytest.raises(Refused, match="What it launches may still need IMDSv1: 2 in use"):
        climb(RequestKind.TEMPLATES, people)
    assert not AuditEvent.objects.filter(verb="request.drafted").exists()


# --- beside the ladder: instances named one by one -----------------------------------------------------


def test_imds_is_switched_off_on_the_one_that_is_named_and_put_back(aws, people):
    sandbox = aws(fleets.alone({"count": 2, "name_prefix": "web", **fleets.QUIET}))
    collected(sandbox)
    account = Account.objects.get()
    named = account.instances.first().instance_id
    scope = Scope(ScopeKind.INSTANCES, instances=(named,))
    before = {one: row.options for one, row in sandbox.world.instances.items()}
    draft = requests.draft_plan(
        account=account, by=people[0], now=timezone.now(), kind=RequestKind.IMDS_OFF, scope=scope
    )

    run = carry_out(draft, people)
    off = {one: row.options.http_endpoint for one, row in sandbox.world.instances.items()}
    back = put_back(run, people)

    assert run.state == RunState.DONE, told(run)
    assert [one for one, endpoint in off.items() if endpoint == "disabled"] == [named]
    assert back.state == RunState.DONE, told(back)
    assert {one: row.options for one, row in sandbox.world.instances.items()} == before


def test_a_hop_limit_is_raised_alone_and_put_back(aws, people):
    sandbox = aws(fleets.alone({"name": "web", "launch_template": "web", **fleets.QUIET}, launch_templates=[
        {"name": "web", "versions": [{"ami": "plain"}]}], images=[{"name": "plain"}]))  # fmt: skip
    collected(sandbox)
    Workload.objects.update(hop_limit=2)
    draft = requests.draft_plan(
        account=Account.objects.get(), by=people[0], now=timezone.now(), kind=RequestKind.HOP_LIMIT
    )

    run = carry_out(draft, people)

    (instance,) = sandbox.world.instances.values()
    assert run.state == RunState.DONE, told(run)
    assert (instance.options.http_put_response_hop_limit, instance.options.http_tokens) == (2, "optional")
    assert put_back(run, people).state == RunState.DONE
    (instance,) = sandbox.world.instances.values()
    assert instance.options.http_put_response_hop_limit == 1
