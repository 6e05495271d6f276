"""`manage.py prune`: what it says, its exit codes, and that it stops when told to."""

import json
import os
import signal
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from migration.actions import retention
from migration.models import InstanceDay
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _signals():
    """The command takes the signals of its process, and this process goes on after it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def old_days():
    today = timezone.now().date()
    scope = factories.scope(factories.account())
    instance = factories.instance(scope.account)
    for back in (200, 201, 202):
        factories.instance_day(instance, today - timedelta(days=back))
        factories.scope_day(scope, today - timedelta(days=back), frozen_at=timezone.now())
    factories.instance_day(instance, today - timedelta(days=203))


def test_it_tells_a_person_what_went_and_what_stayed(old_days, capsys):
    call_command("prune")

    told = capsys.readouterr().out
    assert "Deleted 3 instance days older than 90 days, 0 instances gone as long" in told
    assert "1 older instance days are kept: no settled rollup holds them yet." in told
    assert InstanceDay.objects.count() == 1


def test_a_dry_run_changes_nothing(old_days, capsys):
    call_command("prune", "--dry-run")

    assert "Would delete 3 instance days" in capsys.readouterr().out
    assert InstanceDay.objects.count() == 4


def test_as_json_it_is_one_object(old_days, capsys):
    call_command("prune", "--json")

    told = json.loads(capsys.readouterr().out)
    assert (told["instance_days"], told["kept_without_rollup"], told["finished"]) == (3, 1, True)


def test_terminated_it_ends_after_the_transaction_it_is_in(old_days, capsys, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 1)
    delete = retention._delete

    def delete_and_be_told(chosen):
        os.kill(os.getpid(), signal.SIGTERM)
        return delete(chosen)

    monkeypatch.setattr(retention, "_delete", delete_and_be_told)
    with pytest.raises(SystemExit) as ended:
        call_command("prune")

    assert ended.value.code == 3
    assert InstanceDay.objects.count() == 3
    assert "Stopped before the end" in capsys.readouterr().out
