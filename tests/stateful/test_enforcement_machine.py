"""Everything people, clocks, crashes and AWS can do to a request, in any order: I1 to I12 are asserted after each step.

`IMDSDASH_SOAK_STEPS` makes it longer (`make soak`).
"""

import itertools
import os
import secrets
from collections import Counter
from contextlib import suppress

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from migration.actions import audit, brake, enforcement, planning, policies, requests, rollback, runs
from migration.actions.errors import Refused
from migration.actions.policies import Proposal
from migration.domain import lifecycle
from migration.domain import plan as plans
from migration.domain.plan import Scope
from migration.domain.policy import Terms
from migration.enums import Emergency, RequestState, Role, RunState, ScopeKind, Status, WorkloadKind
from migration.models import AuditHead, Change, EnforcementRequest, Instance, Policy, Run, Workload
from migration.tasks import enforcement as tasks
from tests import factories
from tests.factories import NOW
from tests.stateful import invariants
from tests.stateful.aws import UNSAID, Clock, JournalingAws, Killed, standing_in

ENOUGH = 10_000
STEPS = int(os.environ.get("IMDSDASH_SOAK_STEPS", ENOUGH))
EACH, STORIES = 50, 20  # rules of one story at most, many of which take several steps; stories to a seed
PEOPLE = {
    "ellen": Role.ENGINEER, "edith": Role.ENGINEER, "vera": Role.VIEWER,
    "adam": Role.APPROVER, "bea": Role.APPROVER, "carl": Role.ADMIN, "dora": Role.ADMIN,
}  # fmt: skip
APPROVERS = ("adam", "bea", "carl")
MOODS = (
    "ok", "ok", "throttled", "refused", "lost before", "lost after", "killed before", "killed after", "asleep", "slow",
    "answered late", "reading throttled", "reading killed", "reading asleep",
    "reading overslept",
)  # fmt: skip

person = st.sampled_from(list(PEOPLE))
place = st.integers(0, 11)
moods = st.tuples(*[st.sampled_from(MOODS)] * 3)
terms = st.builds(
    Terms,
    quorum=st.integers(1, 3),
    max_failures=st.integers(0, 2),
    one_click=st.sampled_from([0, 0, 4]),
    canary_minutes=st.sampled_from([0, 0, 0, 30]),
    emergency=st.sampled_from(list(Emergency)),
)
# Every move there is of a request, a run and a change.
EVERY_MOVE = {
    *lifecycle.REQUEST_MOVES.values(), *lifecycle.RUN_MOVES.values(), *lifecycle.CHANGE_MOVES.values()
}  # fmt: skip
taken: Counter[str] = Counter()
seen: Counter[str] = Counter()


class Enforcement(RuleBasedStateMachine):
    """One account of four ready instances; two who plan, four who decide, and one who may only look."""

    just_asserted = False

    @initialize(terms=terms, begun=st.sampled_from([True, True, True, False]))
    def begin(self, terms, begun):
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.clock = Clock(NOW)
        self.ledger = invariants.Ledger()
        self.aws = JournalingAws(
            clock=self.clock, on_write=invariants.at_the_write, on_sleep=self.overslept, on_wait=self.meanwhile
        )
        self.hands = standing_in(self.aws, self.clock)
        self.hands.__enter__()
        self.while_it_waits = "another worker"
        self.people = {name: factories.user(name, role) for name, role in PEOPLE.items()}
        self.account = factories.account()
        factories.scope(self.account)
        for group in ("", "", "web", "web"):
            row = factories.instance(self.account, usage_until=NOW.replace(year=2027), asg_name=group)
            self.aws.options[row.instance_id] = UNSAID
        Workload.objects.create(
            account=self.account, region="us-east-1", kind=WorkloadKind.ASG, name="web", hop_limit=2, judged_at=NOW
        )
        factories.policy(
            by=self.people["dora"], decided_by=self.people["carl"],
            **{name: getattr(terms, name) for name in
               ("quorum", "max_failures", "one_click", "canary_minutes", "emergency")},
        )  # fmt: skip
        taken["stories"] += 1
        if begun:
            self.the_usual_way([])

    def teardown(self):
        if not hasattr(self, "undo"):
            return
        try:
            assert audit.verify() is None, "I11"
            taken["writes"] += len(self.aws.journal)
            seen.update(self.ledger.verbs)
        finally:
            self.hands.__exit__(None, None, None)
            self.clock.stop()
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @invariant()
    def holds(self):
        if hasattr(self, "aws") and not self.just_asserted:
            self.assert_all()
        self.just_asserted = False

    def assert_all(self):
        """A step is one act of a person, a worker or the world, and after each one everything is asserted."""
        taken["steps"] += 1
        self.ledger.always()
        self.just_asserted = True

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
        """A refusal is a sentence, and moves nothing."""
        since = AuditHead.objects.values_list("seq", flat=True).get(pk=1)
        try:
            done = act(now=self.clock.now(), **said)
        except Refused as refusal:
            invariants.denied(since, str(refusal))
            done = None
        self.assert_all()
        return done

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
        for by in APPROVERS:
            self.approve(by, at, False)

    @rule(some=st.lists(place, max_size=2))
    def the_usual_way(self, some):
        """Planned by one, asked for by another, approved by the rest: most of what can go wrong comes after it."""
        self.all_is_seen()
        if not Instance.objects.filter(status=Status.READY).exists():
            for one in range(len(self.aws.options)):
                self.drifts_back(one)
            self.all_is_seen()
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
        for by in APPROVERS:
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

    @rule(by=st.sampled_from([*APPROVERS, "edith", "vera"]), at=place)
    def reject(self, by, at):
        if self.request(at, RequestState.REQUESTED) is None:
            self.draft("ellen", [])
            self.submit("edith", at)
        request = self.request(at, RequestState.REQUESTED)
        if request is not None:
            self.attempt(requests.reject, request=request, by=self.people[by], comment="no", version=request.version)

    @rule(by=person, at=place, act=st.sampled_from(["hold", "resume", "resume", "resume", "stop"]))
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

    @rule(by=st.sampled_from(["carl", "dora", "vera"]), other=st.sampled_from(["carl", "dora"]), terms=terms)
    def the_policy_changes(self, by, other, terms):
        """Proposed by one, agreed to by another: plans made before are of another policy."""
        proposal = Proposal(terms=terms, reason="we learnt")
        policy = self.attempt(policies.propose, proposal=proposal, by=self.people[by])
        if policy is not None:
            held = Policy.objects.filter(state="active").values_list("pk", flat=True).first()
            self.attempt(
                policies.approve, policy=policy, by=self.people[other], comment="", version=0, replaces=held
            )  # fmt: skip

    @rule(by=st.sampled_from(["adam", "bea"]), how=st.sampled_from(["here", "here", "gone", "demoted"]))
    def leaves_or_returns(self, by, how):
        """An account of the product is shut, or an approver becomes an engineer; later all is as before."""
        person = self.people[by]
        person.is_active = how != "gone"
        person.save(update_fields=["is_active"])
        person.grants.update(role=Role.ENGINEER if how == "demoted" else Role.APPROVER)
        self.people[by] = User.objects.get(pk=person.pk)  # grants are read once for each object
        self.all_workers_go_on()

    # --- the world ----------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 2, 5, 10, 20, 40, 60, 1, 2, 5, 10, 20, 40, 60, 60 * 24 * 4]))
    def time_passes(self, minutes):
        self.clock.pass_by(minutes * 60)
        self.all_workers_go_on()  # some before, some after what has expired is closed
        requests.expire(now=self.clock.now())

    @rule(
        at=place,
        what=st.sampled_from([
            {"http_put_response_hop_limit": 3}, {"http_tokens": "required"}, {"http_endpoint": "disabled"},
            {"instance_metadata_tags": "enabled"}, {"state": "pending"},
        ]),
    )  # fmt: skip
    def drift(self, at, what):
        self.aws.drift(self.one(at), **what)

    @rule(at=place)
    def drifts_back(self, at):
        self.aws.drift(self.one(at), **{name: getattr(UNSAID, name) for name in UNSAID.__slots__})

    @rule(at=place, state=st.sampled_from(["running", "stopped", "terminated"]))
    def starts_or_stops(self, at, state):
        self.aws.states[self.one(at)] = state

    @rule(points=st.lists(st.sampled_from([None, 0, 0, 3]), max_size=3))
    def the_canary_shows(self, points):
        self.aws.points = points
        self.clock.pass_by(61)

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
            row.http_endpoint, row.instance_metadata_tags = live.http_endpoint, live.instance_metadata_tags
            row.status = Status.READY if live.http_tokens == "optional" else Status.ENFORCED
            row.status_reason, row.usage_until = "Quiet.", NOW.replace(year=2027)
            row.save()

    @rule(what=st.sampled_from(["a change", "the plan"]))
    def tamper(self, what):
        """The database is changed behind everybody's back: the guard sees it before the call, and it is put right."""
        change = Change.objects.filter(state="pending", run__state=RunState.RUNNING).select_related("run").first()
        if change is None:
            return
        count, plan = len(self.aws.journal), change.run.request.plan
        if what == "the plan":
            EnforcementRequest.objects.filter(run=change.run).update(plan=plan | {"notes": ["nobody signed this"]})
        else:
            Change.objects.filter(pk=change.pk).update(send={"HttpTokens": "optional", "HttpEndpoint": "enabled"})
        self.all_workers_go_on()
        written = self.aws.journal[count:]
        assert not [write for write in written if "HttpEndpoint" in write.send], "I1, I12"
        assert what != "the plan" or change.run_id not in {self.run_of(write) for write in written}, "I3"
        EnforcementRequest.objects.filter(run=change.run).update(plan=plan)
        Change.objects.filter(pk=change.pk, state="pending").update(send=change.send)

    def run_of(self, write):
        return Change.objects.values_list("run_id", flat=True).get(pk=write.change)

    # --- workers ------------------------------------------------------------------------------------------

    @rule(
        at=place,
        moods=moods,
        lagging=st.sampled_from([0, 0, 1]),
        meanwhile=st.sampled_from(["another worker", "stopped and begun anew", "brake", "somebody leaves", "drift"]),
    )
    def work(self, at, moods, lagging=0, meanwhile="another worker"):
        run = self.run(at, RunState.QUEUED, RunState.RUNNING)
        if run is not None:
            self.aws.moods, self.aws.lagging, self.while_it_waits = list(moods), lagging, meanwhile
            self.step(run.pk)
            self.aws.moods = []
            self.step(run.pk)

    @rule(at=place, moods=moods)
    def work_again(self, at, moods):
        self.work(at, moods)

    @rule(at=place, mood=st.sampled_from(MOODS), first=place)
    def begun_and_worked_at(self, at, mood, first):
        """Whatever stands in the way is mended, and a run goes as far as it gets."""
        self.what_held_it_is_mended(at)
        if self.run(at, RunState.QUEUED, RunState.RUNNING) is None:
            self.the_usual_way([])
        self.work(first, [mood, "ok", "ok"])
        self.the_canary_shows([0])
        self.work(at, ["ok", mood, "ok"])

    @rule(at=place, moods=moods)
    def work_on(self, at, moods):
        self.work(at, moods)

    @rule(at=place)
    def work_long(self, at):
        for _ in range(4):
            self.work(at, [])
            self.clock.pass_by(15)

    @rule(at=place)
    def what_held_it_is_mended(self, at):
        """A person looks, releases what may be released, and it goes on."""
        self.attempt(brake.release, by=self.people["dora"], reason="looked")
        for by in ("adam", "bea"):
            self.leaves_or_returns(by, "here")
        run = self.run(at, RunState.PAUSED)
        if run is not None:
            self.attempt(runs.resume, run=run, by=self.people["ellen"])
        self.work_long(at)

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

    def all_workers_go_on(self):
        """Each run that may has one round."""
        for run in Run.objects.filter(state__in=[RunState.QUEUED, RunState.RUNNING]).order_by("pk"):
            self.step(run.pk)

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
        self.assert_all()

    def overslept(self):
        """A worker is stopped inside its call until its lease is over; another one goes on; then it wakes up."""
        self.clock.pass_by(600)
        self.aws.moods = []
        self.sweep()

    def meanwhile(self, change):
        """A call is on its way, and its lease is good: the same message is delivered a second time, people act."""
        self.clock.pass_by(5)
        self.aws.moods = []
        row = Change.objects.select_related("run__account", "run__request", "run__wave").get(pk=change)
        if self.while_it_waits == "brake":
            self.attempt(brake.pull, by=self.people["dora"], reason="look first")
        elif self.while_it_waits == "somebody leaves":
            self.leaves_or_returns("adam", "demoted" if self.clock.now().minute % 2 else "gone")
        elif self.while_it_waits == "drift":
            for one in self.aws.options:
                if one != row.resource_id:
                    self.aws.drift(one, http_put_response_hop_limit=4)
        elif self.while_it_waits == "stopped and begun anew":
            self.attempt(runs.stop, run=row.run, by=self.people["dora"])
            self.the_usual_way([])
        for run in Run.objects.filter(state__in=[RunState.QUEUED, RunState.RUNNING]):
            self.step(run.pk)


@pytest.mark.django_db
@pytest.mark.timeout(0)
def test_whatever_happens_in_whatever_order_the_invariants_hold(capsys):
    """The same stories each time; a soak begins anywhere, and says where, so that it can be told again."""
    first = 0 if STEPS <= ENOUGH else int(os.environ.get("IMDSDASH_SOAK_SEED", secrets.randbelow(10**6)))
    seeds = itertools.count(first)
    while taken["steps"] < STEPS:
        run_state_machine_as_test(
            seed(next(seeds))(Enforcement),
            settings=settings(
                max_examples=STORIES,
                stateful_step_count=EACH,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    with capsys.disabled():
        told = f"{taken['steps']:,} steps in {taken['stories']:,} stories, {taken['writes']:,} writes"
        print(f"\n{told}, from seed {first} on")

    assert taken["writes"] > STEPS / 50, "the machine hardly ever came to a write, so it proves little"
    assert STEPS < ENOUGH or set(seen) >= EVERY_MOVE, "some moves were never made, so nothing is known of them"
