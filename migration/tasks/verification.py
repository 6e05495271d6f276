"""Reading AWS afresh: has the write arrived, and what became of a call whose answer was lost?"""

from django.utils import timezone

from migration.actions import enforcement, judging
from migration.actions.enforcement import Claim
from migration.aws import ec2, errors
from migration.domain import live
from migration.domain.facts import InstanceFact
from migration.enums import ChangeState
from migration.models import Account, Change
from migration.tasks import edges

BATCH = 200  # ids one filtered DescribeInstances takes


def look(run_id: int) -> int:
    """One fresh read of everything of the run that waits for one. Returns how many changes were settled by it."""
    settled = 0
    for state, judge in ((ChangeState.UNKNOWN, _reconcile), (ChangeState.APPLIED, _verify)):
        claims = enforcement.claim_reads(
            states=(state,), owner=edges.me(), limit=BATCH, now=timezone.now(), run_id=run_id
        )
        for region in sorted({claim.region for claim in claims}):
            mine = [claim for claim in claims if claim.region == region]
            fresh = _read(mine)
            for claim in mine:
                settled += judge(claim, fresh) if fresh is not None else 0
    return settled


def _read(claims: list[Claim]) -> dict[str, InstanceFact] | None:
    """The claims' instances as they are now, or None when AWS did not answer: then each is read again later."""
    account = Account.objects.get(pk=claims[0].account_pk)
    ids = [claim.resource_id for claim in claims]
    try:
        return ec2.instances_by_id(edges.reader(), edges.reader_target(account), claims[0].region, ids)
    except errors.AwsError as error:
        for claim in claims:
            enforcement.no_read(claim=claim, reason=str(error), now=timezone.now())
        return None


def _reconcile(claim: Claim, fresh: dict[str, InstanceFact]) -> int:
    """A call without an answer: what is live decides whether it arrived."""
    now = timezone.now()
    sight = live.before_write(live=fresh.get(claim.resource_id), before=claim.before, send=claim.send)
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


MIN_READS = 2


def _verify(claim: Claim, fresh: dict[str, InstanceFact]) -> int:
    now = timezone.now()
    fact = fresh.get(claim.resource_id)
    check, reason = live.after_write(live=fact, before=claim.before, send=claim.send)
    if check is live.Check.GONE:
        return int(enforcement.ended(claim=claim, reason=reason, now=now))
    if check is live.Check.WAIT or fact is None:
        enforcement.read_again(claim=claim, reason=reason, now=now)
        return 0
    after = fact.options.as_aws()
    settle = enforcement.verified if check is live.Check.VERIFIED else enforcement.disturbed
    done = settle(claim=claim, after=after, reason=reason, now=now)
    if done:
        instance_pk = Change.objects.values_list("instance_id", flat=True).get(pk=claim.change_id)
        judging.refresh_instance(change_instance_id=instance_pk, fact=fact, now=now)
    return int(done)
