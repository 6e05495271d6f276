"""Who may do what, page by page: the whole urlconf, every role. A page that is not in this table fails."""

import pytest
from django.urls import reverse

from migration.enums import Role
from migration.models import AuditEvent, Grant
from migration.urls import urlpatterns
from tests import factories
from tests.views.conftest import World

ROLES = ("anonymous", "nobody", "viewer", "engineer", "approver", "admin")
Row = dict[str, tuple[int | str, ...]]
LOGIN, OK, NO, WRONG, DONE, STOP, CONFLICT = "login", 200, 403, 405, 302, 286, 409

# method: what anonymous, nobody, viewer, engineer, approver and admin get.
LOOK: Row = {"GET": (LOGIN, NO, OK, OK, OK, OK), "POST": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG)}
PLAN: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, DONE, NO, DONE)}
DECIDE: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, NO, DONE, DONE)}
# What the state of the thing refuses: an edit of what no plan has, an approval not given, a right no policy grants.
CHANGE_DRAFT: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, CONFLICT, NO, CONFLICT)}
TAKE_BACK: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, NO, CONFLICT, CONFLICT)}
NO_RIGHT: Row = {
    "GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG),
    "POST": (LOGIN, NO, NO, CONFLICT, CONFLICT, CONFLICT),
}
STEER: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, DONE, DONE, DONE)}
AUDIT: Row = {"GET": (LOGIN, NO, NO, NO, OK, OK), "POST": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG)}
CONNECT: Row = {"GET": (LOGIN, NO, NO, OK, NO, OK), "POST": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG)}
ASK: Row = {"GET": (LOGIN, NO, NO, OK, NO, OK), "POST": (LOGIN, NO, NO, CONFLICT, NO, CONFLICT)}
END: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, DONE, DONE, DONE)}
ADMIN: Row = {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, NO, NO, DONE)}
PROPOSE: Row = {"GET": (LOGIN, NO, NO, NO, NO, OK), "POST": (LOGIN, NO, NO, NO, NO, CONFLICT)}
PUBLIC: Row = {"GET": (OK,) * 6, "POST": (WRONG,) * 6}
MATRIX: dict[str, Row] = {
    "overview": LOOK,
    "executive": LOOK,
    "accounts": LOOK,
    "account": LOOK,
    "launch_sources": LOOK,
    "connect": CONNECT,
    "guardrails": LOOK,
    "callers": LOOK,
    "import_callers": PLAN,
    "instances": LOOK,
    "instance": LOOK,
    "choose_hop_limit": PLAN,
    "ask_cloudtrail": PLAN,
    "test_role": PLAN,
    "draft_plan": PLAN,
    "draft_rung": PLAN,
    "draft_many": PLAN,
    "ask_beforehand": PLAN,
    "plan": LOOK,
    "submit_plan": PLAN,
    "withdraw_plan": PLAN,
    "approve_plan": DECIDE,
    "reject_plan": DECIDE,
    "edit_plan": CHANGE_DRAFT,
    "reopen_plan": PLAN,
    "take_back_approval": TAKE_BACK,
    "roll_back_now": NO_RIGHT,
    "plan_json": LOOK,
    "plan_text": LOOK,
    "approvals": LOOK,
    "runs": LOOK,
    "run": LOOK,
    "run_progress": LOOK,
    "stop_run": STEER,
    "resume_run": STEER,
    "hold_run": STEER,
    "roll_back": STEER,
    "waivers": LOOK,
    "new_waiver": ASK,
    "waiver": LOOK,
    "approve_waiver": DECIDE,
    "reject_waiver": DECIDE,
    "withdraw_waiver": PLAN,
    "renew_waiver": PLAN,
    "end_waiver": END,
    "waves": LOOK,
    "new_wave": ASK,
    "wave": LOOK,
    "edit_wave": PLAN,
    "add_to_wave": PLAN,
    "remove_from_wave": PLAN,
    "start_wave": PLAN,
    "close_wave": PLAN,
    "reopen_wave": {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, NO, NO, CONFLICT, NO, CONFLICT)},
    "resume_wave": STEER,
    "policies": LOOK,
    "new_policy": PROPOSE,
    "policy": LOOK,
    "approve_policy": ADMIN,
    "reject_policy": ADMIN,
    "withdraw_policy": ADMIN,
    "pull_brake": STEER,
    "release_brake": {
        "GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG),
        "POST": (LOGIN, NO, NO, NO, CONFLICT, CONFLICT),
    },
    "data_quality": LOOK,
    "send_again": PLAN,
    "role_probed": {"GET": (LOGIN, NO, STOP, STOP, STOP, STOP), "POST": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG)},
    "audit": AUDIT,
    "theme": {"GET": (WRONG,) * 6, "POST": (DONE,) * 6},
    "login": {"GET": (OK, DONE, DONE, DONE, DONE, DONE), "POST": (OK, DONE, DONE, DONE, DONE, DONE)},
    "logout": {"GET": (LOGIN, WRONG, WRONG, WRONG, WRONG, WRONG), "POST": (LOGIN, DONE, DONE, DONE, DONE, DONE)},
    "livez": PUBLIC,
    "readyz": PUBLIC,
}
SENT: dict[str, dict[str, object]] = {
    "submit_plan": {"reason": "quiet for weeks", "version": 0},
    "withdraw_plan": {"version": 0},
    "approve_plan": {"comment": "", "version": 0, "typed": "payments"},
    "reopen_plan": {"version": 0},
    "draft_rung": {"kind": "templates"},
    "draft_many": {"ou": "Root/Prod"},
    "edit_plan": {"version": 0, "reason": "not this one", "change": "instance|us-east-1|i-0"},
    "roll_back_now": {"version": 0, "reason": "pager", "typed": "payments"},
    "reject_plan": {"comment": "not this week", "version": 0},
    "theme": {"theme": "dark"},
    "approve_waiver": {"comment": "", "version": 0},
    "reject_waiver": {"comment": "not so long", "version": 0},
    "withdraw_waiver": {"version": 0},
    "renew_waiver": {"reason": "The fix is late.", "expires_on": "2027-04-01"},
    "end_waiver": {"reason": "It is fixed.", "version": 0},
    "edit_wave": {"name": "First", "owner": "Bo", "position": 1, "version": 0},
    "add_to_wave": {"accounts": "{other}", "version": 0},
    "remove_from_wave": {"account": "{account}", "version": 0},
    "start_wave": {"version": 0},
    "close_wave": {"version": 0},
    "reopen_wave": {"reason": "One came back.", "version": 0},
    "resume_wave": {"reason": "They were mended.", "version": 0},
    "approve_policy": {"comment": "", "version": 0},
    "reject_policy": {"comment": "not yet", "version": 0},
    "withdraw_policy": {"version": 0},
    "pull_brake": {"reason": "Something breaks."},
    "release_brake": {"reason": "It was DNS.", "typed": "release"},
}


def address(name: str, world: World) -> str:  # noqa: C901 -- a table in the order of the pages
    if name in {"draft_many", "new_wave"}:
        return reverse(name)
    if name in {"account", "draft_plan", "draft_rung", "test_role", "role_probed"}:
        return reverse(name, args=[world.account.account_id])
    if name in {"run", "run_progress", "stop_run", "resume_run", "hold_run", "roll_back"}:
        return reverse(name, args=[world.run.pk])
    if name in {"instance", "choose_hop_limit", "ask_cloudtrail"}:
        return reverse(name, args=[world.account.instances.get().pk])
    if name in {"renew_waiver", "end_waiver"}:
        return reverse(name, args=[world.waived.pk])
    if name.endswith("waiver") and name != "new_waiver":
        return reverse(name, args=[world.asked.pk])
    if name.endswith("wave") and name != "new_wave":
        return reverse(name, args=[world.wave.pk])
    if name.endswith("policy") and name != "new_policy":
        return reverse(name, args=[world.proposed.pk])
    if name in {"submit_plan", "edit_plan"}:
        return reverse(name, args=[world.draft.pk])
    if "plan" in name or name in {"take_back_approval", "roll_back_now", "ask_beforehand"}:
        return reverse(name, args=[world.waiting.pk])
    return reverse(name)


def sent(name: str, world: World) -> dict[str, object]:
    """What a form sends, with the accounts of the world filled in."""
    ids = {"{account}": world.account.account_id, "{other}": world.run.account.account_id}
    return {key: ids.get(str(value), value) for key, value in SENT.get(name, {}).items()}


CASES = [
    pytest.param((name, method, role, expected), id=f"{name}-{method}-{role}")
    for name, by_method in MATRIX.items()
    for method, answers in by_method.items()
    for role, expected in zip(ROLES, answers, strict=True)
]


def test_every_page_has_a_row_in_the_matrix():
    assert {pattern.name for pattern in urlpatterns} <= set(MATRIX) | API


# Named patterns that are not pages: the API has a matrix of its own.
API: set[str] = set()


@pytest.mark.parametrize("case", CASES)
def test_each_role_gets_what_the_matrix_says(world, as_, case):
    name, method, role, expected = case
    client, url = as_(role), address(name, world)

    answer = client.get(url) if method == "GET" else client.post(url, sent(name, world))

    if expected == LOGIN:
        assert (answer.status_code, answer.url) == (302, f"{reverse('login')}?next={url}")
    else:
        assert answer.status_code == expected
    assert AuditEvent.objects.filter(verb="denied", object_type="Page").exists() == (
        method == "POST" and expected == NO
    )


def test_who_is_refused_is_in_the_audit_log_with_page_reason_and_address(world, as_):
    as_("viewer").post(address("approve_plan", world), SENT["approve_plan"])

    told = AuditEvent.objects.get()
    assert (told.actor, told.object_type, told.object_id) == ("viewer", "Page", f"approve_plan {world.waiting.pk}")
    assert (told.account_id, told.reason, told.source_ip) == ("", "This needs the role Approver.", "127.0.0.1")
    assert told.request_id


def test_who_is_refused_over_one_account_is_told_to_those_who_decide_over_it(world, client):
    person = factories.user("elsewhere")
    other = factories.account()
    Grant.objects.create(user=person, role=Role.VIEWER, account=world.account)
    Grant.objects.create(user=person, role=Role.APPROVER, account=other)
    client.force_login(person)

    client.post(address("approve_plan", world), SENT["approve_plan"])

    told = AuditEvent.objects.get()
    assert (told.verb, told.account_id) == ("denied", world.account.account_id)
