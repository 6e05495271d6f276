import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseStopPolling

from migration import charts
from migration.actions import notifications
from migration.actions.errors import Refused
from migration.domain import cost
from migration.domain.permissions import Action
from migration.domain.schedule import Cadences
from migration.domain.words import some
from migration.forms import AuditFilterForm, QualityFilterForm
from migration.models import Account
from migration.queries import anchors, collection, completeness, fleet, health
from migration.queries import audit as log
from migration.queries import cost as counted
from migration.queries import notifications as outbox
from migration.queries.access import can, visible_accounts
from migration.queries.probes import Probe, probe_of
from migration.tasks.notification import wake
from migration.views import buttons, fragments
from migration.views.access import SignedIn, account_for, allowed
from migration.views.paging import page_of, query_without

CALENDAR_DAYS = 35
LARGE = 2000  # account-Regions; of more the bill comes after the page: its month has a row a call, a Region and a day


@dataclass(frozen=True)
class RoleTest:
    """What the last test of one account's role came to, and the button for the next one."""

    account: Account
    probe: Probe
    pending: bool
    button: buttons.ButtonContext | None

    @property
    def shut(self) -> bool:
        return self.account.role_state in fleet.UNREADABLE


def _role_test(user: User, account: Account, *, now: datetime) -> RoleTest:
    probe = probe_of(account)
    pending = probe.pending(now)
    return RoleTest(account, probe, pending, buttons.test_role(user=user, account=account, pending=pending))


@require_GET
@allowed(Action.VIEW)
def data_quality(request: SignedIn) -> HttpResponse:
    """The whole organisation, or with `?account=` one account of it. htmx asks for the matrix or the bill alone."""
    now, every = timezone.now(), health.cadences()
    accounts = visible_accounts(request.user)
    if chosen := request.GET.get("account"):
        # Whatever else stands there is no account; PostgreSQL would even refuse to look for some of it.
        found = account_for(request.user, Action.VIEW, chosen if re.fullmatch(r"[0-9]{12}", chosen) else "")
        return _one_account(request, found, now=now)
    if fragments.wants_fragment(request) and request.htmx.target == "bill":
        return fragments.answer(request, "components/bill.html", "bill", {"bill": _bill(accounts, now=now)})
    listed = _matrix(request, accounts, now=now, every=every)
    if fragments.wants_fragment(request):
        return fragments.answer(request, "migration/data_quality.html", "matrix", listed)
    closed = [
        (group, [(one, _role_test(request.user, one.account, now=now)) for one in group.accounts])
        for group in collection.closed(accounts)
    ]
    heaps = collection.heaps(accounts, now=now, every=every)
    context = {
        "heaps": heaps,
        "closed": closed,
        "gaps": collection.gaps(accounts),
        "may_test": can(request.user, Action.CONNECT),
        "back_to": request.get_full_path(),
        "calendar": _calendar(accounts, now=now, every=every),
        "outbox": outbox.outbox(accounts),
        "send_again": buttons.send_again(user=request.user),
        "bill": _bill(accounts, now=now) if heaps.total <= LARGE or "bill" in request.GET else None,
    }
    return fragments.answer(request, "migration/data_quality.html", "matrix", context | listed)


def _matrix(request: SignedIn, accounts: QuerySet[Account], *, now: datetime, every: Cadences) -> dict[str, Any]:
    filters = QualityFilterForm(request.GET).filters()
    found = collection.matching(accounts, filters, now=now, every=every)
    page = page_of(request, found, settings.IMDSDASH_PAGE_SIZE)
    return {
        "filters": filters,
        "shown": collection.SHOWN,
        "page": page,
        "query": query_without(request, "page"),
        "matrix": collection.matrix(list(page), now=now, every=every),
    }


def _one_account(request: SignedIn, account: Account, *, now: datetime) -> HttpResponse:
    every, here = health.cadences(), Account.objects.filter(pk=account.pk)
    context = {
        "account": account,
        "heaps": collection.heaps(here, now=now, every=every),
        "cells": collection.cells([account], now=now, every=every),
        "test": _role_test(request.user, account, now=now),
        "may_test": can(request.user, Action.CONNECT, account),
        "back_to": request.get_full_path(),
        "calendar": _calendar(here, now=now, every=every),
        "bill": _bill(here, now=now),
    }
    return render(request, "migration/data_quality_account.html", context)


def _calendar(accounts: QuerySet[Account], *, now: datetime, every: Cadences) -> charts.Calendar:
    today = now.astimezone(UTC).date()
    days = completeness.days(accounts, today=today, count=CALENDAR_DAYS)
    return charts.calendar(
        [(day.day, day.complete, day.expected) for day in days],
        # A day is due when the usage reading that covers its last hour has had all its time.
        due_before=(now - every.usage.longest).astimezone(UTC).date(),
        today=today,
    )


@dataclass(frozen=True)
class Bill:
    """What a month takes at the present fleet, beside what the last one took."""

    month: cost.Month
    lines: list[cost.Line]
    calls: int
    metrics: int
    dollars: float
    days: int
    price: str
    price_source: str


def _bill(accounts: QuerySet[Account], *, now: datetime) -> Bill:
    price = settings.IMDSDASH_PRICE_PER_1000_METRICS
    month = cost.month(
        counted.loads(accounts, now=now),
        collect_hours=settings.IMDSDASH_COLLECT_EVERY_HOURS,
        usage_hours=settings.IMDSDASH_USAGE_EVERY_HOURS,
        price_per_1000=price,
    )
    asked = counted.asked(accounts, today=now.astimezone(UTC).date(), days=cost.MONTH_DAYS)
    metrics = sum(one.metrics for one in asked)
    return Bill(
        month=month,
        lines=cost.lines(month, asked),
        calls=sum(one.calls for one in asked),
        metrics=metrics,
        dollars=cost.dollars(metrics, price_per_1000=price),
        days=cost.MONTH_DAYS,
        price=f"${price:g}",
        price_source=settings.IMDSDASH_PRICE_SOURCE,
    )


@require_GET
@allowed(Action.VIEW)
def role_probed(request: SignedIn, account_id: str) -> HttpResponse:
    """What a page asks for every two seconds while a test is under way: 204 until there is something to tell, then
    286, and asking ends.
    """
    found = account_for(request.user, Action.VIEW, account_id)
    test = _role_test(request.user, found, now=timezone.now())
    if test.pending:
        return HttpResponse(status=204)
    here = request.htmx.current_url_abs_path or reverse("data_quality")
    context = {"test": test, "polled": True, "back_to": here.partition("#")[0]}
    answer = render(request, "components/role_test.html#result", context)
    return HttpResponseStopPolling(answer.content)


@require_POST
@allowed(Action.CONNECT)
def send_again(request: SignedIn) -> HttpResponse:
    """Whatever message was given up is tried again."""
    try:
        found = notifications.try_again(by=request.user, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        wake()
        messages.success(request, f"{some(found, 'message')} will be sent again.")
    return redirect(f"{reverse('data_quality')}#messages")


@require_GET
@allowed(Action.DECIDE)
def audit(request: SignedIn) -> HttpResponse:
    form = AuditFilterForm(request.GET)
    filters = form.filters()
    context = {
        "filters": filters,
        "page": log.page(request.user, filters, before=form.before_seq(), size=settings.IMDSDASH_PAGE_SIZE),
        "first": form.before_seq() is None,
        "query": query_without(request, "before"),
        "anchored": anchors.standing(settings.AUDIT_ANCHOR_FILE, now=timezone.now()),
        "anchor_file": settings.AUDIT_ANCHOR_FILE,
    }
    return render(request, "migration/audit.html", context)
