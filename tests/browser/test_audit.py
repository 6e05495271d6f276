"""The Audit page when the log is anchored as it should be, late, and when it contradicts its anchors."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from migration.domain.anchors import Anchor
from migration.models import AuditEvent
from tests.browser.visitor import DESK, DESK_DARK, FINE, PHONE_DARK

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("look", [DESK, DESK_DARK, PHONE_DARK], ids=str)
def test_what_the_page_tells_of_anchors_is_readable(visit, org, look, settings, tmp_path):
    settings.AUDIT_ANCHOR_FILE = tmp_path / "anchors.jsonl"
    now, first = timezone.now(), AuditEvent.objects.order_by("seq").first()
    good = Anchor(now - timedelta(hours=5), first.seq, first.hash)
    late = Anchor(now - timedelta(days=3), first.seq, first.hash)
    forged = Anchor(now - timedelta(days=2), 400, "f" * 64)
    states = {
        "fresh": good.line,
        "late": late.line,
        "contradicted": f"{forged.line}\n{good.line}",
        "all-at-once": f"{late.line}\n{forged.line}\nbroken off",
    }
    visitor = visit(org.approver, look)

    for name, lines in states.items():
        settings.AUDIT_ANCHOR_FILE.write_text(f"{lines}\n")
        visitor.open(reverse("audit"))
        assert visitor.findings(f"audit-{name}") == FINE, name
