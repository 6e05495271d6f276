"""Every pair of states, allowed or not, and the compare-and-swap under each move."""

from itertools import product

import pytest

from migration.actions import audit, moves
from migration.domain.lifecycle import TABLES
from migration.enums import ChangeState, PolicyState, RequestState, RunState, WaiverState, WaveState
from migration.models import AuditEvent, EnforcementRequest
from tests import factories
from tests.factories import NOW

STATES = {
    "EnforcementRequest": RequestState,
    "Run": RunState,
    "Change": ChangeState,
    "Waiver": WaiverState,
    "Policy": PolicyState,
    "Wave": WaveState,
}


@pytest.mark.parametrize("table", TABLES)
def test_every_state_of_the_tables_is_a_stored_word(table):
    assert {state for pair in TABLES[table] for state in pair} <= set(STATES[table].values)


@pytest.mark.parametrize("table", TABLES)
def test_final_states_have_no_way_out(table):
    final = {
        "EnforcementRequest": {"approved", "rejected", "withdrawn", "expired"},
        "Run": {"done", "failed", "stopped"},
        "Change": {"verified", "skipped", "failed"},
        "Waiver": {"rejected", "withdrawn", "expired", "ended"},
        "Policy": {"rejected", "withdrawn", "replaced"},
        "Wave": set(),  # a closed wave can be opened again
    }[table]

    assert not [pair for pair in TABLES[table] if pair[0] in final]


@pytest.mark.django_db
@pytest.mark.parametrize(("old", "new"), list(product(RequestState, RequestState)))
def test_a_request_moves_exactly_as_the_table_says(old, new):
    person = factories.user("ellen")
    other = factories.user("adam")
    request = EnforcementRequest.objects.create(
        account=factories.account(),
        plan={},
        plan_hash="",
        created_by=person,
        created_at=NOW,
        expires_at=NOW,
        requested_by=person,
        requested_at=NOW,
        decided_by=other,
        decided_at=NOW,
        state=old,
    )

    if (old, new) in TABLES["EnforcementRequest"]:
        moves.move(request, new, now=NOW)
        assert request.state == new
        assert AuditEvent.objects.get().verb == TABLES["EnforcementRequest"][(old, new)]
    else:
        with pytest.raises(moves.NoSuchMove):
            moves.move(request, new, now=NOW)
        assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_of_two_that_move_the_same_row_one_is_lost_and_writes_nothing():
    person = factories.user("ellen")
    request = EnforcementRequest.objects.create(
        account=factories.account(), plan={}, plan_hash="", created_by=person, created_at=NOW, expires_at=NOW
    )
    rival = EnforcementRequest.objects.get(pk=request.pk)
    moves.move(request, RequestState.WITHDRAWN, now=NOW)

    with pytest.raises(moves.Lost):
        moves.move(rival, RequestState.EXPIRED, now=NOW)

    assert AuditEvent.objects.count() == 1
    assert audit.verify() is None
