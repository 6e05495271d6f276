"""What a person may see and do. Every look-up of an object by a page goes through here: unseen is 404, not 403."""

import re
from collections import defaultdict
from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q, QuerySet

from migration.domain.permissions import Action, allows
from migration.enums import Role
from migration.models import Account, Grant

Person = AbstractBaseUser | AnonymousUser
CACHE = "_imdsdash_grants"


def _grants(user: Person) -> list[Grant]:
    """The person's grants, read once per request: they hang on the user object the request carries."""
    if not user.is_authenticated or not getattr(user, "is_active", False):
        return []
    cached: list[Grant] | None = getattr(user, CACHE, None)
    if cached is None:
        cached = list(Grant.objects.filter(user_id=user.pk))
        setattr(user, CACHE, cached)
    return cached


def _covers(grant: Grant, account: Account) -> bool:
    if grant.account_id is not None:
        return grant.account_id == account.pk
    return not grant.ou_path or account.ou_path == grant.ou_path or account.ou_path.startswith(f"{grant.ou_path}/")


def roles(user: Person, account: Account | None = None) -> frozenset[Role]:
    """The roles over one account, or, without an account, those held anywhere."""
    return frozenset(Role(grant.role) for grant in _grants(user) if account is None or _covers(grant, account))


def can(user: Person, action: Action, account: Account | None = None) -> bool:
    """May this person do this (to this account; or anywhere at all)?"""
    return allows(roles(user, account), action)


def who_may(action: Action, account: Account, people: Iterable[int] | None = None) -> set[int]:
    """Everybody, or those of these people, by their keys, who may sign in and do this to this account as it stands."""
    grants = Grant.objects.filter(Q(account__isnull=True) | Q(account=account), user__is_active=True)
    held: defaultdict[int, set[Role]] = defaultdict(set)
    for grant in grants if people is None else grants.filter(user__in=people):
        if _covers(grant, account):
            held[grant.user_id].add(Role(grant.role))
    return {person for person, roles_held in held.items() if allows(frozenset(roles_held), action)}


def can_everywhere(user: Person, action: Action) -> bool:
    """May this person do this to every account there is or will be?"""
    whole = [grant for grant in _grants(user) if grant.account_id is None and not grant.ou_path]
    return allows(frozenset(Role(grant.role) for grant in whole), action)


def can_in(user: Person, action: Action, ou_path: str) -> bool:
    """May this person do this to every account of an OU, those below it included? "" is everywhere."""
    over = [
        grant
        for grant in _grants(user)
        if grant.account_id is None and (not grant.ou_path or f"{ou_path}/".startswith(f"{grant.ou_path}/"))
    ]
    return allows(frozenset(Role(grant.role) for grant in over), action)


def visible_accounts(user: Person) -> QuerySet[Account]:
    """The accounts a person may see, whatever the role."""
    wanted = Q(pk__in=[])
    for grant in _grants(user):
        if grant.account_id is not None:
            wanted |= Q(pk=grant.account_id)
        elif grant.ou_path:
            # By expression: SQLite's LIKE, behind `startswith`, does not tell Prod from prod.
            wanted |= Q(ou_path__regex=rf"^{re.escape(grant.ou_path)}(/|$)")
        else:
            return Account.objects.all()
    return Account.objects.filter(wanted)


def among(accounts: QuerySet[Account], field: str) -> Q:
    """Rows whose `field` is one of these accounts. For who sees all of them it is no condition at all: the database
    need not go through every account to find that out.
    """
    return Q() if everything(accounts) else Q(**{f"{field}__in": accounts})


def everything(accounts: QuerySet[Account]) -> bool:
    """Are these simply all accounts? Then a sum over them needs no condition."""
    query = accounts.query
    return not (query.has_filters() or query.is_sliced or query.combinator)
