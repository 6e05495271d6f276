"""The reads of waves, policies, the ladder and a plan's signatures, as their pages ask them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from migration.enums import WaveState
from migration.models import Account, EnforcementRequest, Run, Wave, WaveAccount
from migration.queries import plans, policies, rungs, runs, standing, waves

Read = Callable[[], Any]
IN_A_WAVE = 100  # accounts


def seed(by: User, now: datetime) -> None:
    """One wave that goes on."""
    wave = Wave.objects.create(
        name="first", owner="Ada", state=WaveState.ACTIVE, created_by=by, created_at=now, started_at=now
    )
    accounts = Account.objects.order_by("account_id")[:IN_A_WAVE]
    WaveAccount.objects.bulk_create(WaveAccount(wave=wave, account=one) for one in accounts)


def of_an_account(here: Account, *, now: datetime) -> dict[str, Read]:
    """The ladder of an account's page, and what its rungs are planned from."""
    return {
        "rungs.ladder": lambda: rungs.ladder(here, now=now),
        "rungs.homes": lambda: list(rungs.homes(here, now=now)),
        "policies.terms_for": lambda: policies.terms_for(here),
    }


def of_decisions(admin: User, *, now: datetime) -> dict[str, Read]:
    """What the pages of waves, policies, a plan and a run ask."""
    wave, run = Wave.objects.get(), Run.objects.order_by("pk").first()
    request = EnforcementRequest.objects.order_by("pk").first()
    if run is None or request is None:
        raise LookupError("no run")
    today = now.date()
    members = waves.accounts(wave, admin)
    return {
        "waves.rows": lambda: waves.rows(list(waves.visible(admin)), user=admin, today=today),
        "waves.burn": lambda: waves.burn([wave.pk], members, first=waves.begins(wave, today=today), today=today),
        "waves.accounts": lambda: list(members[:50]),
        "standing.of_accounts": lambda: standing.of_accounts(members, today=today, days=14),
        "policies.holding": lambda: policies.holding(admin),
        "plans.signing": lambda: plans.signing(request, admin),
        "runs.sent_after": lambda: list(runs.sent_after(run)[:100]),
        "runs.written": lambda: list(runs.written(run)[:100]),
        "runs.told": lambda: runs.told(run, refused=runs.refused_calls(run), now=now),
    }
