"""Carrying out approved plans. The only one that calls a writer of the enforcer."""

import threading
import time
import uuid
from datetime import datetime, timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from migration.actions import enforcement, requests, runs
from migration.actions.enforcement import Claim
from migration.aws import enforcer, errors
from migration.aws.sessions import Target
from migration.domain import live
from migration.enums import ResourceKind, RunState
from migration.models import Account, Run
from migration.tasks import canary, edges, verification
from migration.tasks.publish import nudge

log = structlog.get_logger(__name__)

_written: dict[tuple[str, str], float] = {}  # account, Region -> when this process wrote there last, by its own clock
stopping = threading.Event()  # set when this process is told to end: nothing new is begun
BATCH = 10  # claims whose live read is shared; at 2.5 writes a second they are 4 s old at most
IDLE_ROUNDS = 20  # looks without anything due before the worker is given back
LOOK = 0.5  # seconds between looks while a canary or a verification is awaited
THROTTLED_DELAY = 10.0  # seconds before a change that AWS turned away for now is tried again
LAG = timedelta(minutes=1)  # so long after a change of ours AWS may still show what was before it
LAG_DELAY = 5.0  # seconds until such an answer is asked for again
TOO_SOON = (
    "Nothing was sent yet: AWS shows it as put back already, so soon after the change that the answer may be an old "
    "one. It is read again."
)
ERRAND = 25.0  # seconds one task drives a run before it hands over, so that a worker told to stop soon can


def nudge_run(run_id: int) -> None:
    """Wake a worker for this run, once the caller's transaction is committed."""
    nudge(drive_run, run_id)


@shared_task(name="migration.tasks.enforcement.sweep")
def sweep() -> None:
    """Every half minute: take back what dead workers held, and wake a worker for every run that has work due."""
    for run_id in sorted(enforcement.recover(now=timezone.now())):
        nudge(drive_run, run_id)


@shared_task(name="migration.tasks.enforcement.expire_requests")
def expire_requests() -> None:
    """Every five minutes: close what waited too long."""
    requests.expire(now=timezone.now())


@shared_task(name="migration.tasks.enforcement.drive_run")
def drive_run(run_id: int) -> None:
    """Move a run on until it is over, is paused, or has nothing due. Harmless to run twice, or fifty times at once:
    one drives, the others go home.
    """
    driver = f"{edges.me()}:{uuid.uuid4().hex}"
    if not _take_the_wheel(run_id, driver):
        return
    more = False
    try:
        more = _drive(run_id, driver)
    finally:
        runs.leave_the_wheel(run_id=run_id, driver=driver)
    if more:
        nudge(drive_run, run_id)


def _take_the_wheel(run_id: int, driver: str) -> bool:
    seconds = settings.IMDSDASH_LEASE_SECONDS
    return runs.take_the_wheel(run_id=run_id, driver=driver, seconds=seconds, now=timezone.now())


def _drive(run_id: int, driver: str) -> bool:
    """Drive for one errand. True when there may be more to do at once."""
    run = Run.objects.select_related("account").get(pk=run_id)
    if run.state == RunState.QUEUED:
        runs.start(run=run, now=timezone.now())
    enforcement.skip_what_waits(run_id=run_id, now=timezone.now())
    until = time.monotonic() + ERRAND
    idle = 0
    while idle < IDLE_ROUNDS and not stopping.is_set() and _take_the_wheel(run_id, driver):
        if time.monotonic() > until:
            return True
        moved = step(run_id)
        moved += enforcement.skip_what_waits(run_id=run_id, now=timezone.now())
        if runs.finish(run_id=run_id, now=timezone.now()) and not moved:
            return False
        if not moved and not enforcement.is_near(run_id=run_id, now=timezone.now()):
            return False
        idle = 0 if moved else idle + 1
        if not moved:
            time.sleep(LOOK)
    return False


def step(run_id: int) -> int:
    """One round: reconcile and verify what is due, then begin what may be begun. Returns how many were handled."""
    handled = verification.look(run_id) + canary.look(run_id)
    claims = enforcement.claim(run_id=run_id, owner=edges.me(), limit=batch_size(), now=timezone.now())
    for region, kind in sorted({(claim.region, claim.kind) for claim in claims}):
        handled += _write_all([claim for claim in claims if (claim.region, claim.kind) == (region, kind)])
    return handled


def batch_size() -> int:
    """How many may be claimed at once: no more than are written, at the allowed pace, in a quarter of their lease."""
    return max(1, min(BATCH, int(settings.IMDSDASH_WRITES_PER_SECOND * settings.IMDSDASH_LEASE_SECONDS / 4)))


def _write_all(claims: list[Claim]) -> int:
    """Claims of one kind in one account and Region: one fresh read for all, then each by itself."""
    account = Account.objects.get(pk=claims[0].account_pk)
    try:
        sights = verification.sights(account, claims)
    except errors.AwsError as error:
        for claim in claims:
            _no_read(claim, error, timezone.now())
        return len(claims)
    for claim in claims:
        sight = sights[claim.change_id]
        if sight.finding is live.Finding.GO:
            _write(claim, edges.enforcer_target(account, run_id=claim.run_id, approved_by=claim.approved_by))
        elif sight.finding is live.Finding.ALREADY and (claim.writes or claim.kind is ResourceKind.TEMPLATE_VERSION):
            _write_again(claim)
        elif sight.finding is live.Finding.ALREADY and _may_lag(claim, timezone.now()):
            enforcement.release(claim=claim, reason=TOO_SOON, delay=LAG_DELAY, now=timezone.now())
        else:
            enforcement.skip(claim=claim, reason=sight.reason, now=timezone.now())
    return len(claims)


def _may_lag(claim: Claim, now: datetime) -> bool:
    """Was what is put back changed so short a time ago that AWS may still show what was before? EC2 reads lag behind
    its writes (EC2 API, eventual consistency), and taken at its word, such a read would leave the change as it is.
    """
    return claim.undone_at is not None and now - claim.undone_at < LAG


def _write_again(claim: Claim) -> None:
    """It is done, and an earlier attempt did it: its answer was lost, or the version bears this change's mark. On to
    verification.
    """
    if _begin(claim):
        enforcement.record_applied(claim=claim, aws_request_id="", now=timezone.now())


def _begin(claim: Claim) -> bool:
    """Wait for the account's and Region's turn, and commit the intent to call. False: nothing may be sent."""
    place, pace = (claim.account_id, claim.region), 1 / settings.IMDSDASH_WRITES_PER_SECOND
    # How long this process alone must wait needs no question; what others have written meanwhile `begin` sees.
    left = _written.get(place, -pace) + pace - time.monotonic()
    if 0 < left <= pace:
        time.sleep(left)
    while wait := enforcement.begin(claim=claim, now=timezone.now()):
        time.sleep(wait)
    if wait is None:
        return False
    _written[place] = time.monotonic()
    return True


def _no_read(claim: Claim, error: errors.AwsError, now: datetime) -> None:
    """What comes before the write failed: nothing was sent."""
    if error.permanent:
        enforcement.fail(claim=claim, reason=f"Nothing was sent: {error}", error_class=error.code or "error", now=now)
    else:
        enforcement.release(claim=claim, reason=f"Nothing was sent yet: {error}", delay=THROTTLED_DELAY, now=now)


def _write(claim: Claim, target: Target) -> None:
    """The one write: entered, intent committed, call, outcome recorded.

    The account is entered before the intent is committed: AssumeRole may take long or fail, and neither may count
    as a write or eat up its lease.
    """
    try:
        edges.writer().enter(target)
    except errors.AwsError as error:
        _no_read(claim, error, timezone.now())
        return
    if not _begin(claim):
        return
    try:
        request_id = enforcer.WRITERS[claim.kind](
            edges.writer(), target, claim.region, claim.resource_id, claim.before, claim.send, verification.token(claim)
        )
    except errors.AwsError as error:
        _record_error(claim, error)
        return
    except ValueError as error:  # it must not travel: nothing was sent
        enforcement.fail(
            claim=claim, reason=f"Nothing was sent: {error}", error_class="refused_here", now=timezone.now()
        )
        return
    if not enforcement.record_applied(claim=claim, aws_request_id=request_id, now=timezone.now()):
        log.warning("lease_lost", change_id=claim.change_id, fence=claim.fence)


def _record_error(claim: Claim, error: errors.AwsError) -> None:
    now = timezone.now()
    log.info("write_not_confirmed", change_id=claim.change_id, code=error.code, error=str(error))
    if error.operation.startswith("Describe") and not error.permanent:
        # What is read right before the write did not come, or had moved: nothing was sent.
        enforcement.record_not_now(claim=claim, reason=str(error), delay=THROTTLED_DELAY, now=now)
    elif isinstance(error, errors.Unreachable) or (isinstance(error, errors.Passing) and not _did_nothing(error)):
        enforcement.record_no_answer(claim=claim, reason=str(error), now=now)
    elif not error.permanent:
        enforcement.record_not_now(claim=claim, reason=str(error), delay=THROTTLED_DELAY, now=now)
    else:
        enforcement.fail(
            claim=claim, reason=str(error), error_class=error.code or "error", aws_request_id=error.request_id, now=now
        )


def _did_nothing(error: errors.AwsError) -> bool:
    """An expired session was turned away at the door; a 5xx may have come after the change was made."""
    return error.code in errors.EXPIRED_CODES
