"""A policy's way: proposed by one admin, agreed to by another. Then it takes the place of what held there, at once.

Every refusal writes the event `denied` and nothing else.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse

from migration.actions import audit, moves, notifications
from migration.actions.errors import Refused, Stale
from migration.domain.policy import Terms, as_plan, problem, words
from migration.enums import PolicyState, Severity
from migration.models import Account, Policy
from migration.queries import policies

OBJECT_ID = 64  # characters of an audit event's


@dataclass(frozen=True, slots=True)
class Proposal:
    """What shall hold where; both places empty: everywhere. The terms' `place` and `policy_id` count for nothing."""

    terms: Terms
    reason: str
    account: Account | None = None
    ou_path: str = ""

    @property
    def place(self) -> str:
        return policies.place(account=self.account, ou_path=self.ou_path)

    @property
    def name(self) -> str:
        """Of the place, as far as the audit log has room for it."""
        return (self.account.account_id if self.account else self.ou_path or "everywhere")[:OBJECT_ID]


def propose(*, proposal: Proposal, by: User | None, now: datetime) -> Policy:
    """Propose what shall hold in a place; `by` None is the command line, on the server itself. Raises Refused."""
    if by is not None and not policies.may_administer(by, account=proposal.account, ou_path=proposal.ou_path):
        raise _refused(
            proposal,
            f"Saying what holds {proposal.place} needs the role Admin over all of it. Nothing was proposed.",
            why="no role to propose a policy",
            by=by,
            now=now,
        )
    wrong = _wrong(proposal)
    if wrong:
        raise _refused(proposal, wrong, why=wrong, by=by, now=now)
    window = proposal.terms.window
    with transaction.atomic():
        policy = Policy.objects.create(
            account=proposal.account,
            ou_path=proposal.ou_path,
            quorum=proposal.terms.quorum,
            one_click=proposal.terms.one_click,
            max_failures=proposal.terms.max_failures,
            canary_minutes=proposal.terms.canary_minutes,
            watch_hours=proposal.terms.watch_hours,
            max_rejecting=proposal.terms.max_rejecting,
            emergency=proposal.terms.emergency,
            window_zone=window.zone if window else "",
            window_days=sorted(window.days) if window else [],
            window_start=window.start if window else None,
            window_minutes=window.minutes if window else 0,
            reason=proposal.reason.strip(),
            proposed_by=by,
            proposed_at=now,
        )
        audit.append(
            verb="policy.proposed",
            object_type="Policy",
            object_id=policy.pk,
            account_id=proposal.account.account_id if proposal.account else "",
            after=as_plan(policies.terms_of(policy)),
            reason=policy.reason,
            by=by,
            now=now,
        )
        _tell(policy, "proposed", f"A policy waits for a second admin: {proposal.place}", now=now)
    return policy


def _wrong(proposal: Proposal) -> str:
    """What is wrong with it, in a sentence, or ""."""
    if not proposal.reason.strip():
        return "Say why it shall change: the second admin decides by it."
    if proposal.account is not None and proposal.ou_path:
        return "A policy is of one place: an account or an organizational unit, not both."
    if proposal.ou_path and not _lives(proposal.ou_path):
        return f"No account lies in {proposal.ou_path} or below it, so the policy would hold for nothing."
    wrong = problem(proposal.terms)
    if wrong:
        return wrong
    held = policies.active_at(account=proposal.account, ou_path=proposal.ou_path)
    if held is not None and words(policies.terms_of(held)) == words(proposal.terms):
        return f"That is what policy {held.pk} says {proposal.place} already, so there is nothing to propose."
    return ""


def _lives(ou_path: str) -> bool:
    """Does any account lie there? Compared here: SQLite's LIKE does not tell Prod from prod."""
    paths = Account.objects.filter(ou_path__startswith=ou_path).values_list("ou_path", flat=True).distinct()
    return any(f"{path}/".startswith(f"{ou_path}/") for path in paths)


def approve(*, policy: Policy, by: User, comment: str, version: int, replaces: int | None, now: datetime) -> Policy:
    """Say yes; what held in that place ends with it. `replaces`: the primary key of the policy that the person saw it
    would replace, for they agreed to the difference. Raises Refused or Stale.
    """
    _may_decide(policy, by=by, version=version, now=now)
    decided = {"decided_by": by, "decided_at": now, "comment": comment}
    try:
        with transaction.atomic():
            old = policies.active_at(account=policy.account, ou_path=policy.ou_path)
            if (old.pk if old else None) != replaces:
                raise _overtaken(policy)
            if old is not None:
                moves.move(old, PolicyState.REPLACED, now=now, by=by, reason=f"Replaced by policy {policy.pk}.")
            moves.move(policy, PolicyState.ACTIVE, now=now, by=by, reason=comment, fields=decided)
            _tell(policy, "approved", f"A policy holds: {_place(policy)}", severity=Severity.WARNING, now=now)
    except IntegrityError as error:
        raise _overtaken(policy) from error
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(policy) from error
    return policy


def reject(*, policy: Policy, by: User, comment: str, version: int, now: datetime) -> Policy:
    """Say no. Raises Refused or Stale."""
    _may_decide(policy, by=by, version=version, now=now)
    decided = {"decided_by": by, "decided_at": now, "comment": comment}
    _move(policy, PolicyState.REJECTED, by=by, reason=comment, fields=decided, now=now)
    return policy


def withdraw(*, policy: Policy, by: User, version: int, now: datetime) -> Policy:
    """Take a waiting one back. Raises Refused or Stale."""
    _may(policy, by=by, doing="withdraw this policy", now=now)
    _same(policy, version)
    _move(policy, PolicyState.WITHDRAWN, by=by, reason="", fields={}, now=now)
    return policy


def _move(policy: Policy, to: PolicyState, *, by: User, reason: str, fields: dict[str, object], now: datetime) -> None:
    try:
        moves.move(policy, to, now=now, by=by, reason=reason, fields=fields)
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(policy) from error


# --- Who may -----------------------------------------------------------------------------------------------


def _may_decide(policy: Policy, *, by: User, version: int, now: datetime) -> None:
    _may(policy, by=by, doing="decide on this policy", now=now)
    if by.pk == policy.proposed_by_id:
        sentence = "You proposed this policy, so a second admin must decide on it. Nothing was changed."
        raise _refused(policy, sentence, why="proposer and approver are the same person", by=by, now=now)
    _same(policy, version)


def _may(policy: Policy, *, by: User, doing: str, now: datetime) -> None:
    if policies.may_administer(by, account=policy.account, ou_path=policy.ou_path):
        return
    sentence = f"To {doing} needs the role Admin over all of its place: {_place(policy)}. Nothing was changed."
    raise _refused(policy, sentence, why=f"no role to {doing}", by=by, now=now)


def _refused(about: Policy | Proposal, sentence: str, *, why: str, by: User | None, now: datetime) -> Refused:
    audit.append(
        verb="denied",
        object_type="Policy",
        object_id=about.pk if isinstance(about, Policy) else about.name,
        account_id=about.account.account_id if about.account else "",
        reason=f"{why} ({about.place})" if isinstance(about, Proposal) else why,
        by=by,
        now=now,
    )
    return Refused(sentence)


def _same(policy: Policy, version: int) -> None:
    if policy.version != version:
        raise _late(policy)


def _late(policy: Policy) -> Stale:
    state = PolicyState(Policy.objects.values_list("state", flat=True).get(pk=policy.pk))
    return Stale(f"This policy is {state.label.lower()} by now, so nothing was changed by you.")


def _overtaken(policy: Policy) -> Stale:
    return Stale(
        f"What holds {_place(policy)} has changed since you opened the page. Look at the difference again; nothing "
        "was changed by you."
    )


def _place(policy: Policy) -> str:
    return policies.place(account=policy.account, ou_path=policy.ou_path)


def _tell(policy: Policy, what: str, subject: str, *, severity: Severity = Severity.INFO, now: datetime) -> None:
    said = words(policies.terms_of(policy))
    by = f", approved by {policy.decided_by}" if policy.decided_by else ""
    notifications.add(
        key=f"policy:{policy.pk}:{what}",
        kind=f"policy.{what}",
        subject=subject,
        lines=[
            *(f"{label}: {text}" for label, text in said.items()),
            f"Reason: {policy.reason}",
            f"Proposed by {policy.proposed_by or 'the command line'}{by}.",
        ],
        path=reverse("policy", args=[policy.pk]),
        account=policy.account,
        severity=severity,
        now=now,
    )
