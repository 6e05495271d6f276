"""Policies: which terms hold for an account, and the rows behind them."""

from django.conf import settings

from migration.domain.policy import Terms, narrowest
from migration.domain.windows import Window
from migration.enums import Emergency, PolicyState
from migration.models import Account, Brake, Policy


def terms_of(policy: Policy) -> Terms:
    """A policy's row as a value."""
    window = None
    if policy.window_zone and policy.window_start is not None:
        window = Window(policy.window_zone, tuple(policy.window_days), policy.window_start, policy.window_minutes)
    return Terms(
        quorum=policy.quorum,
        one_click=policy.one_click,
        max_failures=policy.max_failures,
        canary_minutes=policy.canary_minutes,
        watch_hours=policy.watch_hours,
        max_rejecting=policy.max_rejecting,
        emergency=Emergency(policy.emergency),
        window=window,
        place=policy.account.account_id if policy.account else policy.ou_path,
        policy_id=policy.pk,
    )


def terms_for(account: Account) -> Terms:
    """The terms that hold for an account now: its narrowest active policy, else those of the settings."""
    rows = Policy.objects.filter(state=PolicyState.ACTIVE).select_related("account")
    places = [(row.account.account_id if row.account else "", row.ou_path, terms_of(row)) for row in rows]
    return narrowest(places, account_id=account.account_id, ou_path=account.ou_path) or defaults()


def defaults() -> Terms:
    """What holds where no policy does."""
    return Terms(
        quorum=settings.IMDSDASH_QUORUM,
        max_failures=settings.IMDSDASH_MAX_FAILURES,
        canary_minutes=settings.IMDSDASH_CANARY_MINUTES,
    )


def brake_reason() -> str:
    """Why nothing may be written anywhere now, or ""."""
    brake = Brake.objects.filter(pk=1, on=True).select_related("by").first()
    if brake is None:
        return ""
    who = brake.by.get_username() if brake.by else "the command line"
    return f"The brake is on, pulled by {who}: {brake.reason or 'no reason given'}"
