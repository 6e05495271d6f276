"""Everything people, clocks, crashes and AWS can do to a request, in any order: I1 to I12 are asserted after each step.

`IMDSDASH_SOAK_STEPS` makes it longer (`make soak`).
"""

import os
from contextlib import suppress

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from migration.actions import audit, brake, enforcement, planning, requests, rollback, runs
from migration.actions.errors import Refused
from migration.domain import plan as plans
from migration.domain.plan import Scope
from migration.enums import Emergency, PolicyState, RequestState, Role, RunState, ScopeKind, Status
from migration.models import Change, EnforcementRequest, Instance, Policy, Run
from migration.tasks import enforcement as tasks
from tests import factories
from tests.factories import NOW
from tests.stateful import invariants
from tests.stateful.aws import UNSAID, Clock, JournalingAws, Killed, standing_in

STEPS = int(os.environ.get("IMDSDASH_SOAK_STEPS", "10000"))
EACH, USUAL = 50, 40  # steps of one story at most, and mostly
PEOPLE = ("ellen", "edith", "adam", "bea", "carl")
MOODS = ("ok", "throttled", "refused", "lost before", "lost after", "killed before", "killed after", "asleep")

person = st.sampled_from(PEOPLE)
place = st.integers(0, 99)
taken = {"steps": 0, "writes": 0, "stories": 0}


class Enforcement(RuleBasedStateMachine):
    """One account of four ready instances; two who plan, three who approve."""

    @initialize(
        quorum=st.integers(1, 3),
        failures=st.integers(0, 2),
        one_click=st.sampled_from([0, 0, 4]),
        emergency=st.sampled_from(list(Emergency)),
        begun=st.sampled_from([True, True, True, False]),
    )
    def begin(self, quorum, failures, one_click, emergency, begun):
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.clock = Clock(NOW)
        self.aws = JournalingAws(clock=self.clock, on_write=invariants.at_the_write, on_sleep=self.overslept)
        self.hands = standing_in(self.aws, self.clock)
        self.hands.__enter__()
        roles = (Role.ENGINEER, Role.ENGINEER, Role.APPROVER, Role.APPROVER, Role.ADMIN)
        self.people = {name: factories.user(name, role) for name, role in zip(PEOPLE, roles, strict=True)}
        self.account = factories.account()
        factories.scope(self.account)
        for _ in range(4):
            row = factories.instance(self.account, usage_until=NOW.replace(year=2027))
            self.aws.options[row.instance_id] = UNSAID
        Policy.objects.create(
            state=PolicyState.ACTIVE, quorum=quorum, max_failures=failures, one_click=one_click, emergency=emergency,
            canary_minutes=0, watch_hours=24, reason="the story's", proposed_at=NOW,
            decided_by=self.people["carl"], decided_at=NOW,
        )  # fmt: skip
        taken["stories"] += 1
        if begun:
            self.the_usual_way([])

    def teardown(self):
        if not hasattr(self, "undo"):
            return
        try:
            invariants.told()
            assert audit.verify() is None, "I11"
            taken["writes"] += len(self.aws.journal)
        finally:
            self.hands.__exit__(None, None, None)
            self.clock.stop()
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @invariant()
    def holds(self):
        if hasattr(self, "aws"):
            taken["steps"] += 1
            invariants.always(self.aws)

    # --- who does it to what ------------------------------------------------------------------------------

    def request(self, at, *states):
        found = EnforcementRequest.objects.filter(state__in=states or RequestState.values).order_by("pk")
        rows = list(found.select_related("account", "requested_by", "undoes__request"))
        return rows[at % len(rows)] if rows else None

    def run(self, at, *states):
        rows = list(Run.objects.filter(state__in=states).select_related("account", "request", "wave").order_by("pk"))
        return rows[at % len(rows)] if rows else None

    def one(self, at):
        return sorted(self.aws.options)[at % len(self.aws.options)]

    def attempt(self, act, **said):
        """A refusal is a sentence, and changes nothing."""
        before = self.everything()
        try:
            return act(now=self.clock.now(), **said)
        except Refused:
            assert self.everything() == before, "a refusal changed something"
            return None

    def everything(self):
        return [
            list(model.objects.order_by("pk").values_list("pk", "state")) for model in (EnforcementRequest, Run, Change)
        ]

    # --- people -------------------------------------------------------------------------------------------

    @rule(by=person, some=st.lists(place, max_size=2))
    def draft(self, by, some):
        ids = tuple(sorted({self.one(at) for at in some}))
        scope = Scope(ScopeKind.INSTANCES, instances=ids) if ids else Scope()
        made = self.attempt(planning.draft_plan, account=self.account, by=self.people[by], scope=scope)
        if made is not None:
            ready = set(Instance.objects.filter(status=Status.READY).values_list("instance_id", flat=True))
            assert {item["instance_id"] for item in made.plan["changes"]} <= ready, "I10"

    @rule(by=person, at=place, which=place)
    def leave_out(self, by, at, which):
        request = self.request(at, RequestState.DRAFT)
        if request is not None:
            keys = list(plans.items(request.plan))
            self.attempt(
                planning.leave_out, request=request, by=self.people[by], keys=[keys[which % len(keys)]],
                reason="later", version=request.version,
            )  # fmt: skip

    @rule(by=person, at=place)
    def submit(self, by, at):
        request = self.request(at, RequestState.DRAFT)
        if request is not None:
            self.attempt(requests.submit, request=request, by=self.people[by], reason="", version=request.version)

    @rule(by=person, at=place, late=st.booleans())
    def approve(self, by, at, late):
        request = self.request(at, RequestState.REQUESTED)
        if request is not None:
            version = request.version - late  # a page that was opened before something moved
            self.attempt(requests.approve, request=request, by=self.people[by], comment="", version=version)

    @rule(at=place)
    def everybody_approves(self, at):
        for by in ("adam", "bea", "carl"):
            self.approve(by, at, False)

    @rule(some=st.lists(place, max_size=2))
    def the_usual_way(self, some):
        """Planned by one, asked for by another, approved by the rest: most of what can go wrong comes after it."""
        before = set(EnforcementRequest.objects.values_list("pk", flat=True))
        self.draft("ellen", some)
        request = EnforcementRequest.objects.exclude(pk__in=before).first()
        if request is None:
            return
        self.signed(request)

    @rule(at=place)
    def the_usual_way_back(self, at):
        """A run is put back as it was made: planned by one, asked for by another, approved by the rest."""
        run = self.run(at, RunState.DONE, RunState.FAILED, RunState.STOPPED)
        if run is not None:
            self.all_is_seen()
            request = self.attempt(rollback.draft, run=run, by=self.people["ellen"])
            if request is not None:
                self.signed(request)

    def signed(self, request):
        self.attempt(requests.submit, request=request, by=self.people["edith"], reason="", version=request.version)
        for by in ("adam", "bea", "carl"):
            request = EnforcementRequest.objects.select_related("account", "requested_by").get(pk=request.pk)
            if request.state == RequestState.REQUESTED:
                self.attempt(requests.approve, request=request, by=self.people[by], comment="", version=request.version)

    @rule(by=person, at=place)
    def take_back(self, by, at):
        request = self.request(at, RequestState.REQUESTED)
        if request is not None:
            self.attempt(requests.take_back, request=request, by=self.people[by])

    @rule(by=person, at=place, act=st.sampled_from(["reopen", "withdraw"]))
    def reopen_or_withdraw(self, by, at, act):
        request = self.request(at, RequestState.REQUESTED, RequestState.DRAFT)
        if request is not None:
            self.attempt(getattr(requests, act), request=request, by=self.people[by], version=request.version)

    @rule(by=person, at=place)
    def reject(self, by, at):
        request = self.request(at, RequestState.REQUESTED)
        if request is not None:
            self.attempt(requests.reject, request=request, by=self.people[by], comment="no", version=request.version)

    @rule(by=person, at=place, act=st.sampled_from(["hold", "resume", "stop"]))
    def steer(self, by, at, act):
        run = self.run(at, RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)
        if run is not None:
            said = {"reason": ""} if act == "hold" else {}
            self.attempt(getattr(runs, act), run=run, by=self.people[by], **said)

    @rule(on=st.sampled_from([True, False, False, False]))
    def brake(self, on):
        by = self.people["carl"]
        self.attempt(brake.pull if on else brake.release, by=by, reason="look first")

    @rule(by=person, at=place, now=st.booleans())
    def put_back(self, by, at, now):
        run = self.run(at, RunState.DONE, RunState.FAILED, RunState.STOPPED, RunState.PAUSED)
        if run is None:
            return
        request = self.attempt(rollback.draft, run=run, by=self.people[by])
        if request is not None and now:
            self.attempt(
                requests.roll_back_now, request=request, by=self.people[by], reason="pager", version=request.version
            )

    @rule(by=st.sampled_from(["adam", "bea"]), active=st.booleans())
    def leaves_or_returns(self, by, active):
        self.people[by].is_active = active
        self.people[by].save(update_fields=["is_active"])

    # --- the world ----------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 2, 5, 10, 20, 40, 60, 60 * 24 * 4]))
    def time_passes(self, minutes):
        self.clock.pass_by(minutes * 60)
        requests.expire(now=self.clock.now())

    @rule(at=place, what=st.sampled_from([{"http_put_response_hop_limit": 2}, {"http_tokens": "required"}]))
    def drift(self, at, what):
        self.aws.drift(self.one(at), **what)

    @rule(at=place)
    def drifts_back(self, at):
        self.aws.drift(self.one(at), http_tokens="optional", http_put_response_hop_limit=1)

    @rule(at=place, status=st.sampled_from([Status.IN_USE, Status.UNKNOWN]))
    def v1_appears(self, at, status):
        Instance.objects.filter(instance_id=self.one(at)).update(status=status, status_reason="3 calls.")

    @rule()
    def all_is_quiet_again(self):
        self.all_is_seen()

    def all_is_seen(self):
        for row in Instance.objects.all():
            live = self.aws.options[row.instance_id]
            row.http_tokens, row.http_put_response_hop_limit = live.http_tokens, live.http_put_response_hop_limit
            row.status = Status.READY if live.http_tokens == "optional" else Status.ENFORCED
            row.status_reason, row.usage_until = "Quiet.", NOW.replace(year=2027)
            row.save()

    @rule()
    def tamper(self):
        """The database is changed behind everybody's back: the guard sees it before the call, and it is put right."""
        change = Change.objects.filter(state="pending", run__state=RunState.RUNNING).first()
        if change is not None:
            Change.objects.filter(pk=change.pk).update(send={"HttpTokens": "optional", "HttpEndpoint": "enabled"})
            count = len(self.aws.journal)
            self.work(0, [])
            assert not [write for write in self.aws.journal[count:] if "HttpEndpoint" in write.send], "I1, I12"
            Change.objects.filter(pk=change.pk, state="pending").update(send=change.send)

    # --- workers ------------------------------------------------------------------------------------------

    @rule(at=place, moods=st.lists(st.sampled_from(MOODS), max_size=3))
    def work(self, at, moods):
        run = self.run(at, RunState.QUEUED, RunState.RUNNING)
        if run is not None:
            self.aws.moods = list(moods)
            self.step(run.pk)
            self.aws.moods = []

    @rule(at=place, moods=st.lists(st.sampled_from(MOODS), max_size=4))
    def work_again(self, at, moods):
        self.work(at, moods)

    @rule(at=place, moods=st.lists(st.sampled_from(MOODS), max_size=2))
    def work_on(self, at, moods):
        self.work(at, moods)

    @rule(at=place)
    def work_long(self, at):
        for _ in range(4):
            self.work(at, [])
            self.clock.pass_by(15)

    @rule(at=place)
    def delivered_twice(self, at):
        """Two workers drive the run at once: the second one works while the first is inside its call."""
        self.work(at, ["asleep"])

    @rule()
    def sweep(self):
        for run_id in enforcement.recover(now=self.clock.now()):
            self.step(run_id)

    @rule(at=place)
    def a_forged_message(self, at):
        """A message names a run, whatever its state, or one that is not there."""
        count = len(self.aws.journal)
        run = self.run(at, RunState.DONE, RunState.FAILED, RunState.STOPPED, RunState.PAUSED)
        self.step(run.pk if run else 4711)
        assert len(self.aws.journal) == count, "I1"

    def step(self, run_id):
        run = Run.objects.filter(pk=run_id).select_related("account").first()
        if run is None:
            with suppress(Run.DoesNotExist):
                tasks.step(run_id)
            return
        runs.start(run=run, now=self.clock.now())
        with suppress(Killed):
            tasks.step(run_id)
        enforcement.skip_what_waits(run_id=run_id, now=self.clock.now())
        runs.finish(run_id=run_id, now=self.clock.now())

    def overslept(self):
        """A worker is stopped inside its call until its lease is over; another one goes on; then it wakes up."""
        self.clock.pass_by(600)
        self.aws.moods = []
        self.sweep()


@pytest.mark.django_db
@pytest.mark.timeout(0)
def test_whatever_happens_in_whatever_order_the_invariants_hold(capsys):
    run_state_machine_as_test(
        Enforcement,
        settings=settings(
            max_examples=STEPS // USUAL,
            stateful_step_count=EACH,
            deadline=None,
            derandomize=STEPS <= 10_000,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        print(f"\n{taken['steps']:,} steps in {taken['stories']:,} stories, {taken['writes']:,} writes")

    assert taken["steps"] >= STEPS
    assert taken["writes"] > STEPS / 100, "the machine hardly ever came to a write, so it proves little"
