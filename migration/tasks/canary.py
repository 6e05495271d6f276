"""Looking at a run's canary: what CloudWatch says of its instance since the change."""

import structlog
from django.utils import timezone

from migration.actions import canary
from migration.aws import cloudwatch, errors
from migration.domain import rollout
from migration.domain.facts import Ask
from migration.domain.metrics import REJECTED
from migration.models import Account
from migration.tasks import edges

log = structlog.get_logger(__name__)


def look(run_id: int) -> int:
    """One look at the canary of the run, if it is due for one. Returns 1 when it was judged by it."""
    now = timezone.now()
    watched = canary.due(run_id=run_id, now=now)
    if watched is None:
        return 0
    points, complete = _points(watched)
    state = rollout.judge_canary(points, complete=complete, until=watched.until, now=now)
    calls = sum(point or 0 for point in points)
    return int(canary.judged(watched=watched, state=state, calls=calls, now=now))


def _points(watched: canary.Watched) -> tuple[list[int | None], bool]:
    """Refused calls by five minutes. AWS not answering is no data, and never quiet."""
    account = Account.objects.get(pk=watched.account_pk)
    start, end = rollout.first_point(watched.called_at), rollout.point_before(timezone.now())
    ask = Ask(watched.instance_id, REJECTED)
    try:
        return cloudwatch.lately(
            edges.reader(), edges.reader_target(account), watched.region, ask=ask, start=start, end=end
        )
    except errors.AwsError as error:
        log.info("canary_not_read", run_id=watched.run_id, error=str(error))
        return [], False
