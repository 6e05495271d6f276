"""The watch over runs that were written down by hand: what is heard, whose it is, and what it holds up."""

from datetime import timedelta

import pytest

from migration.actions import watch
from migration.domain.hours import pack
from migration.enums import Channel, Role, RunState, WatchState
from migration.models import Grant, InstanceDay, Notification, Run
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SINCE = NOW.replace(hour=1, minute=30)  # the change; the first whole hour after it is 02:00


@pytest.fixture(autouse=True)
def told(monkeypatch):
    monkeypatch.setattr("migration.queries.notifications.channels", lambda: [Channel.MAIL])


def watched(count: int = 2, **fields) -> Run:
    """A run that is over and being watched, with so many changes."""
    over = {"state": RunState.DONE, "finished_at": NOW, "watch": WatchState.WATCHING}
    account = factories.account()
    run = factories.run(account, **over | {"watch_until": NOW + timedelta(hours=16)} | fields)
    Grant.objects.get_or_create(user=run.request.requested_by, role=Role.ENGINEER)
    for _ in range(count):
        factories.change(run, factories.instance(account, http_tokens="required"), called_at=SINCE)
    return run


def refused(change, hours: dict[int, int | None]) -> None:
    """MetadataNoTokenRejected of its instance on the day, by UTC hour."""
    day = [hours.get(hour) for hour in range(24)]
    known = [one for one in day if one is not None]
    told = {"rejected_hours": pack(day), "rejected_calls": sum(known), "rejected_measured_hours": len(known)}
    InstanceDay.objects.update_or_create(instance=change.instance, day=NOW.date(), defaults=told)


def afresh(run: Run) -> Run:
    return Run.objects.select_related("account", "request", "wave").get(pk=run.pk)


def look(run: Run, *, now=NOW):
    return watch.look(afresh(run), now=now)


@pytest.mark.parametrize(
    ("calling", "said"), [(1, "1 of its instances has IMDSv1"), (2, "2 of its instances have IMDSv1")]
)
def test_one_is_told_as_one(calling, said):
    run = watched()
    for change in run.changes.all()[:calling]:
        refused(change, {2: 4})

    look(run)

    assert said in Notification.objects.get(kind="refused_calls").subject
