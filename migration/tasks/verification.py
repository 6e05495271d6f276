"""Reading AWS afresh: has the write arrived, and what became of a call whose answer was lost?"""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from migration.actions import enforcement, judging
from migration.actions import launches as launching
from migration.actions.enforcement import Claim
from migration.aws import ec2, errors
from migration.aws import ladder as reading
from migration.domain import ladder, live
from migration.domain.facts import InstanceFact
from migration.domain.live import Check, Sight
from migration.enums import ChangeState, ResourceKind
from migration.models import Account
from migration.tasks import edges

BATCH = 200  # ids one filtered DescribeInstances takes
MIN_READS = 2


def token(claim: Claim) -> str:
    """The ClientToken of a change, the same at every attempt: AWS makes one version of a template by it, and it is the
    mark by which the version is known again.
    """
    return f"imdsdash-change-{claim.change_id}"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a read shows of one claim's resource: an instance's fact, or what the ladder sees. Both None: not shown."""

    fact: InstanceFact | None = None
    seen: ladder.Seen | None = None

    def before(self, claim: Claim) -> Sight:
        """May it be written?"""
        if claim.kind is ResourceKind.INSTANCE:
            return live.before_write(live=self.fact, before=claim.before, send=claim.send)
        return ladder.before_write(claim.kind, self.seen, claim.before, claim.send)

    def after(self, claim: Claim) -> tuple[Check, str]:
        """Has it arrived?"""
        if claim.kind is ResourceKind.INSTANCE:
            return live.after_write(live=self.fact, before=claim.before, send=claim.send)
        return ladder.after_write(claim.kind, self.seen, claim.before, claim.send)

    def is_gone(self, claim: Claim) -> bool:
        return self.after(claim)[0] is Check.GONE

    @property
    def state(self) -> dict[str, Any] | None:
        if self.fact is not None:
            return self.fact.options.as_aws()
        return self.seen.state if self.seen is not None else None


def sights(account: Account, claims: list[Claim]) -> dict[int, Sight]:
    """A fresh read of claims of one kind in one Region, by change, for the guard before the write. Raises AwsError."""
    fresh = read(account, claims)
    return {claim.change_id: fresh[claim.change_id].before(claim) for claim in claims}


def read(account: Account, claims: list[Claim]) -> dict[int, Fresh]:
    """The claims' resources as they are now, by change. All are of one kind and Region. Raises AwsError."""
    kind, region = claims[0].kind, claims[0].region
    edge, target = edges.reader(), edges.reader_target(account)
    ids = [claim.resource_id for claim in claims]
    if kind is ResourceKind.INSTANCE:
        facts = ec2.instances_by_id(edge, target, region, ids)
        return {claim.change_id: Fresh(fact=facts.get(claim.resource_id)) for claim in claims}
    marks = {
        claim.resource_id: reading.Mark(claim.before["SourceVersion"], token(claim))
        for claim in claims
        if kind is ResourceKind.TEMPLATE_VERSION
    }
    seen = reading.READERS[kind](edge, target, region, ids, marks)
    return {claim.change_id: Fresh(seen=seen.get(claim.resource_id)) for claim in claims}


def look(run_id: int) -> int:
    """One fresh read of everything of the run that waits for one. Returns how many changes were settled by it."""
    settled = 0
    for state, judge in ((ChangeState.UNKNOWN, _reconcile), (ChangeState.APPLIED, _verify)):
        claims = enforcement.claim_reads(
            states=(state,), owner=edges.me(), limit=BATCH, now=timezone.now(), run_id=run_id
        )
        for region, kind in sorted({(claim.region, claim.kind) for claim in claims}):
            mine = [claim for claim in claims if (claim.region, claim.kind) == (region, kind)]
            fresh = _read(mine)
            if fresh is None:
                continue
            done = [claim for claim in mine if judge(claim, fresh[claim.change_id])]
            settled += len(done)
            if state is ChangeState.APPLIED:
                _tell_the_rows([claim for claim in done if not fresh[claim.change_id].is_gone(claim)], fresh)
    return settled


def _tell_the_rows(settled: list[Claim], fresh: dict[int, Fresh]) -> None:
    """What was read becomes the rows' own. Of one that a worker's death leaves out here, the next pass tells."""
    now = timezone.now()
    facts: dict[int, InstanceFact] = {}
    for claim in settled:
        shown = fresh[claim.change_id]
        if shown.fact is not None and claim.instance_pk is not None:
            facts[claim.instance_pk] = shown.fact
        elif shown.state is not None:
            launching.remember(
                account_pk=claim.account_pk, region=claim.region, kind=claim.kind, after=shown.state, now=now
            )
    if facts:
        first = settled[0]
        judging.refresh_instances(account_pk=first.account_pk, region=first.region, facts=facts, now=now)


def _read(claims: list[Claim]) -> dict[int, Fresh] | None:
    """As `read`, or None when AWS did not answer: then each is read again later."""
    account = Account.objects.get(pk=claims[0].account_pk)
    try:
        return read(account, claims)
    except errors.AwsError as error:
        for claim in claims:
            enforcement.no_read(claim=claim, reason=str(error), now=timezone.now())
        return None


def _reconcile(claim: Claim, fresh: Fresh) -> int:
    """A call without an answer: what is live decides whether it arrived."""
    now = timezone.now()
    sight = fresh.before(claim)
    if sight.finding is live.Finding.ALREADY:
        return int(enforcement.reconciled_applied(claim=claim, now=now))
    if sight.finding is live.Finding.GO:
        # EC2 reads lag behind its writes: only a second look that still shows the old value sends it back.
        if claim.reads < MIN_READS:
            enforcement.read_again(claim=claim, reason="AWS still shows the value from before.", now=now)
            return 0
        return int(enforcement.reconciled_not_applied(claim=claim, now=now))
    if sight.finding is live.Finding.ENDED:
        return int(enforcement.ended(claim=claim, reason=sight.reason, now=now))
    if sight.finding is live.Finding.GONE:
        enforcement.read_again(claim=claim, reason=sight.reason, now=now)
        return 0
    reason = f"The answer was lost, and AWS shows neither the old nor the new value. {sight.reason}"
    return int(enforcement.fail(claim=claim, reason=reason, error_class="unknown_outcome", now=now))


def _verify(claim: Claim, fresh: Fresh) -> int:
    now = timezone.now()
    check, reason = fresh.after(claim)
    if check is Check.GONE:
        return int(enforcement.ended(claim=claim, reason=reason, now=now))
    after = fresh.state
    if check is Check.WAIT or after is None:
        enforcement.read_again(claim=claim, reason=reason, now=now)
        return 0
    settle = enforcement.verified if check is Check.VERIFIED else enforcement.disturbed
    return int(settle(claim=claim, after=after, reason=reason, now=now))
