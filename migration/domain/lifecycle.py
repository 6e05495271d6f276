"""Every state change there is, in one table each, with the word the audit log uses for it beside it."""

from migration.enums import ChangeState, PolicyState, RequestState, RunState, WaiverState, WaveState

R, N, C, W, P, V = RequestState, RunState, ChangeState, WaiverState, PolicyState, WaveState

REQUEST_MOVES: dict[tuple[str, str], str] = {
    (R.DRAFT, R.REQUESTED): "request.submitted",
    (R.DRAFT, R.WITHDRAWN): "request.discarded",
    (R.DRAFT, R.EXPIRED): "request.expired",
    (R.REQUESTED, R.APPROVED): "request.approved",
    (R.REQUESTED, R.REJECTED): "request.rejected",
    (R.REQUESTED, R.WITHDRAWN): "request.withdrawn",
    (R.REQUESTED, R.EXPIRED): "request.expired",
    (R.REQUESTED, R.DRAFT): "request.reopened",
}

RUN_MOVES: dict[tuple[str, str], str] = {
    (N.QUEUED, N.RUNNING): "run.started",
    (N.QUEUED, N.STOPPED): "run.stopped",
    (N.RUNNING, N.PAUSED): "run.paused",
    (N.RUNNING, N.STOPPED): "run.stopped",
    (N.RUNNING, N.DONE): "run.done",
    (N.RUNNING, N.FAILED): "run.failed",
    (N.PAUSED, N.RUNNING): "run.resumed",
    (N.PAUSED, N.STOPPED): "run.stopped",
}

CHANGE_MOVES: dict[tuple[str, str], str] = {
    (C.PENDING, C.LEASED): "change.claimed",
    (C.PENDING, C.SKIPPED): "change.skipped",
    (C.PENDING, C.FAILED): "change.failed",
    (C.LEASED, C.PENDING): "change.released",
    (C.LEASED, C.CALLING): "change.calling",
    (C.LEASED, C.SKIPPED): "change.skipped",
    (C.LEASED, C.FAILED): "change.failed",
    (C.CALLING, C.APPLIED): "change.applied",
    (C.CALLING, C.PENDING): "change.refused_for_now",
    (C.CALLING, C.UNKNOWN): "change.outcome_unknown",
    (C.CALLING, C.FAILED): "change.failed",
    (C.APPLIED, C.VERIFIED): "change.verified",
    (C.APPLIED, C.FAILED): "change.failed",
    (C.APPLIED, C.SKIPPED): "change.skipped",
    (C.UNKNOWN, C.APPLIED): "change.reconciled",
    (C.UNKNOWN, C.PENDING): "change.not_applied",
    (C.UNKNOWN, C.FAILED): "change.failed",
    (C.UNKNOWN, C.SKIPPED): "change.skipped",
}

WAIVER_MOVES: dict[tuple[str, str], str] = {
    (W.REQUESTED, W.ACTIVE): "waiver.approved",
    (W.REQUESTED, W.REJECTED): "waiver.rejected",
    (W.REQUESTED, W.WITHDRAWN): "waiver.withdrawn",
    (W.REQUESTED, W.EXPIRED): "waiver.expired",
    (W.ACTIVE, W.EXPIRED): "waiver.expired",
    (W.ACTIVE, W.ENDED): "waiver.ended",
}

POLICY_MOVES: dict[tuple[str, str], str] = {
    (P.PROPOSED, P.ACTIVE): "policy.approved",
    (P.PROPOSED, P.REJECTED): "policy.rejected",
    (P.PROPOSED, P.WITHDRAWN): "policy.withdrawn",
    (P.ACTIVE, P.REPLACED): "policy.replaced",
}

WAVE_MOVES: dict[tuple[str, str], str] = {
    (V.DRAFT, V.ACTIVE): "wave.started",
    (V.ACTIVE, V.CLOSED): "wave.closed",
    (V.DRAFT, V.CLOSED): "wave.closed",
    (V.CLOSED, V.ACTIVE): "wave.reopened",
}

TABLES: dict[str, dict[tuple[str, str], str]] = {
    "EnforcementRequest": REQUEST_MOVES,
    "Run": RUN_MOVES,
    "Change": CHANGE_MOVES,
    "Waiver": WAIVER_MOVES,
    "Policy": POLICY_MOVES,
    "Wave": WAVE_MOVES,
}


def verb(table: str, old: str, new: str) -> str | None:
    """The audit word of a move, or None when there is no such move."""
    return TABLES[table].get((str(old), str(new)))
