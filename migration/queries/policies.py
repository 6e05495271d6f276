"""Policies: which terms hold for an account, and the rows behind them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet

from migration.domain.permissions import Action
from migration.domain.policy import Terms, as_plan, narrowest, words
from migration.domain.windows import Window
from migration.enums import Emergency, PolicyState
from migration.models import Account, Brake, EnforcementRequest, Policy
from migration.queries.access import Person, can, can_in, everything, visible_accounts


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


def moved_on(request: EnforcementRequest) -> bool:
    """Has the policy of the account changed since the plan was made? Then nobody carries it out any more."""
    told = request.plan.get("policy")
    return bool(told) and told != as_plan(terms_for(request.account))


def defaults() -> Terms:
    """What holds where no policy does."""
    return Terms(
        quorum=settings.IMDSDASH_QUORUM,
        max_failures=settings.IMDSDASH_MAX_FAILURES,
        canary_minutes=settings.IMDSDASH_CANARY_MINUTES,
    )


# --- The pages ---------------------------------------------------------------------------------------------


def visible(user: Person) -> QuerySet[Policy]:
    """Those that hold, or would hold, for an account the person sees."""
    found = Policy.objects.select_related("account", "proposed_by", "decided_by")
    seen = visible_accounts(user)
    if everything(seen):
        return found
    covering = {""}
    for path in seen.exclude(ou_path="").values_list("ou_path", flat=True).distinct():
        levels = path.split("/")
        covering |= {"/".join(levels[:depth]) for depth in range(1, len(levels) + 1)}
    return found.filter(Q(account__in=seen) | Q(account__isnull=True, ou_path__in=covering))


def may_administer(user: Person, *, account: Account | None, ou_path: str) -> bool:
    """May this person propose and decide what holds in that place?"""
    return can(user, Action.ADMINISTER, account) if account else can_in(user, Action.ADMINISTER, ou_path)


def decidable(policy: Policy, user: Person) -> bool:
    """Might this person decide it? Never who proposed it."""
    return (
        policy.state == PolicyState.PROPOSED
        and policy.proposed_by_id != user.pk
        and may_administer(user, account=policy.account, ou_path=policy.ou_path)
    )


def waiting_for(user: Person) -> int:
    """How many wait for this person: the number beside the word Policies."""
    if not can(user, Action.ADMINISTER):
        return 0
    waiting = Policy.objects.filter(state=PolicyState.PROPOSED).select_related("account")
    return sum(decidable(policy, user) for policy in waiting)


def active_at(*, account: Account | None, ou_path: str) -> Policy | None:
    """The policy that holds in exactly that place."""
    return Policy.objects.filter(state=PolicyState.ACTIVE, account=account, ou_path=ou_path).first()


def place(*, account: Account | None, ou_path: str) -> str:
    """As a sentence says it: everywhere, or in what."""
    if account is not None:
        return f"in {account}"
    return f"in {ou_path} and below it" if ou_path else "everywhere"


@dataclass(frozen=True)
class Row:
    """What holds in one place. `policy` None: what the settings say, where no policy does."""

    policy: Policy | None
    place: str
    said: dict[str, str]
    accounts: int  # visible ones for which it is the narrowest


def holding(user: Person) -> list[Row]:
    """What holds where, the widest first, with what the settings say for the rest. Three queries at most."""
    rows = list(visible(user).filter(state=PolicyState.ACTIVE))
    rows.sort(key=lambda row: (row.account is not None, row.ou_path, row.account.name if row.account else ""))
    places = [(row.account.account_id if row.account else "", row.ou_path, terms_of(row)) for row in rows]
    held: Counter[int | None] = Counter()
    for account_id, ou_path in visible_accounts(user).values_list("account_id", "ou_path"):
        terms = narrowest(places, account_id=account_id, ou_path=ou_path)
        held[terms.policy_id if terms else None] += 1
    found = [_row(row, held[row.pk]) for row in rows]
    if any(row.account is None and not row.ou_path for row in rows):
        return found
    return [Row(None, "where no policy holds: the settings", words(defaults()), held[None]), *found]


def _row(policy: Policy, accounts: int) -> Row:
    return Row(
        policy, place(account=policy.account, ou_path=policy.ou_path), words(terms_of(policy)), accounts=accounts
    )


@dataclass(frozen=True)
class Line:
    """One term before and after."""

    label: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def difference(before: Terms, after: Terms) -> list[Line]:
    """Term by term, all of them: what stays is signed, too."""
    old = words(before)
    return [Line(label, old[label], text) for label, text in words(after).items()]


def held_before(policy: Policy) -> tuple[Terms, str]:
    """What holds now in the place of a proposal, and in words whose it is: that of the same place, else of the next
    wider one, else of the settings.
    """
    same = active_at(account=policy.account, ou_path=policy.ou_path)
    if same is not None:
        return terms_of(same), f"policy {same.pk}, which it replaces"
    wider = _wider(policy)
    if wider is None:
        return defaults(), "the settings, for no policy holds there yet"
    return terms_of(wider), f"policy {wider.pk}, which holds {place(account=wider.account, ou_path=wider.ou_path)}"


def _wider(policy: Policy) -> Policy | None:
    rows = Policy.objects.filter(state=PolicyState.ACTIVE, account__isnull=True).select_related("account")
    by_pk = {row.pk: row for row in rows}
    inside = policy.account.ou_path if policy.account else policy.ou_path
    places = [("", row.ou_path, terms_of(row)) for row in by_pk.values()]
    terms = narrowest(places, account_id="", ou_path=inside)
    return by_pk[terms.policy_id] if terms and terms.policy_id else None


def told(rows: Iterable[Policy]) -> list[tuple[Policy, str]]:
    """With the words for the place of each."""
    return [(row, place(account=row.account, ou_path=row.ou_path)) for row in rows]


# --- The brake ---------------------------------------------------------------------------------------------


def brake() -> Brake | None:
    """The brake while it is on. One query."""
    return Brake.objects.filter(pk=1, on=True).select_related("by").first()


def brake_reason() -> str:
    """Why nothing may be written anywhere now, or ""."""
    pulled = brake()
    if pulled is None:
        return ""
    return f"The brake is on, pulled by {pulled_by(pulled)}: {pulled.reason or 'no reason given'}"


def pulled_by(pulled: Brake) -> str:
    return pulled.by.get_username() if pulled.by else "the command line"
