"""The audit log, newest first, in keyset pages: rows that arrive meanwhile move nothing."""

from dataclasses import dataclass

from django.db.models import Q

from migration.domain.permissions import Action
from migration.models import AuditEvent
from migration.queries.access import Person, can, visible_accounts


@dataclass(frozen=True)
class AuditFilters:
    actor: str = ""
    object: str = ""
    verb: str = ""

    @property
    def any(self) -> bool:
        return bool(self.actor or self.object or self.verb)


@dataclass(frozen=True)
class AuditPage:
    events: list[AuditEvent]
    next_before: int | None  # the `seq` to page on from


def page(user: Person, filters: AuditFilters, *, before: int | None, size: int) -> AuditPage:
    """Events of the accounts the person decides over; those of no account are for administrators."""
    theirs = Q(account_id__in=[one.account_id for one in visible_accounts(user) if can(user, Action.DECIDE, one)])
    found = AuditEvent.objects.filter(theirs | Q(account_id="") if can(user, Action.ADMINISTER) else theirs)
    if filters.actor:
        found = found.filter(actor__icontains=filters.actor)
    if filters.object:
        found = found.filter(Q(object_id=filters.object) | Q(object_type=filters.object) | Q(account_id=filters.object))
    if filters.verb:
        found = found.filter(verb__icontains=filters.verb)
    if before is not None:
        found = found.filter(seq__lt=before)
    events = list(found.order_by("-seq")[: size + 1])
    more = len(events) > size
    return AuditPage(events[:size], events[size - 1].seq if more else None)
