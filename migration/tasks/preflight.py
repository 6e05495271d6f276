"""Asking AWS beforehand, by DryRun, with the enforcer's role: nothing is changed by it.

Beside `tasks.enforcement` the one importer of the enforcer, and of its `dry_run` alone.
"""

import structlog
from celery import shared_task
from django.utils import timezone

from migration.actions import planning
from migration.aws import errors
from migration.aws.enforcer import dry_run
from migration.domain import preflight
from migration.models import EnforcementRequest
from migration.tasks import edges
from migration.tasks.publish import nudge

log = structlog.get_logger(__name__)
STALE = 3600.0  # seconds after which nobody waits for the answer any more


def nudge_ask(request_pk: int) -> None:
    """Ask once the caller's transaction is committed."""
    nudge(ask, request_pk, expires=STALE)


@shared_task(name="migration.tasks.preflight.ask")
def ask(request_pk: int) -> None:
    """May the plan's changes be made, and put back? A DryRun tests rights, and is no proof that the state or
    HttpTokensEnforced would let it pass (domain.md 9). Harmless to ask twice.
    """
    request = EnforcementRequest.objects.select_related("account", "created_by").filter(pk=request_pk).first()
    if request is None:
        return
    edge, target = edges.writer(), edges.trial_target(request.account, request_pk, request.created_by.get_username())
    answers = []
    for trial in preflight.trials(request.plan):
        try:
            code = dry_run(edge, target, trial.region, trial.kind, trial.resource_id, trial.send)
        except errors.AwsError as error:
            log.info("preflight_unanswered", request=request_pk, region=trial.region, error=str(error))
            answers.append(preflight.unanswered(trial, str(error)))
        except ValueError as error:  # our own door refuses it
            answers.append(preflight.unanswered(trial, f"it was not asked, for {error}"))
        else:
            answers.append(preflight.answer(trial, code))
    planning.checked(request=request, answers=answers, now=timezone.now())
