"""Guardrails as texts to copy, and what each would break today. This page changes nothing, here or in AWS."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from migration.domain import breaks
from migration.domain.onboarding import PARTITIONS, Block
from migration.domain.permissions import Action
from migration.domain.policies.texts import OFFERED, Guardrail, guardrail
from migration.domain.policies.wanted import DEFAULTS, DENIALS, FIELDS, INSTANCES, TEMPLATES, Kind, Wanted
from migration.forms import first_error
from migration.forms.guardrails import GuardrailForm
from migration.models import Account
from migration.queries import guardrails as queries
from migration.queries.access import visible_accounts
from migration.views.access import SignedIn, allowed
from migration.views.paging import query_without

BAD_REQUEST = 400
LISTED = 500  # accounts that are offered while one types
NO_ACCOUNT = "There is no such account here, or none that you may see. Check its 12 digits."


@require_GET
@allowed(Action.VIEW)
def guardrails(request: SignedIn) -> HttpResponse:
    """The text that is asked for; with `?format=` as a file."""
    visible, form = visible_accounts(request.user), GuardrailForm(request.GET)
    kind, said = form.kind_asked(), form.cleaned_data.get("account", "")
    account = visible.filter(account_id=said).first() if said else None
    refusal = NO_ACCOUNT if said and account is None else ""
    if not form.is_valid():
        refusal = first_error(form)
    accounts = visible.filter(pk=account.pk) if account else visible
    wanted = form.wanted(partition=account.partition if account else queries.partition(visible))
    if account:
        wanted = replace(wanted, partition=account.partition)
    made: Guardrail | None = None
    context: dict[str, Any] = {}
    if not refusal:
        try:
            made, context = _made(kind, wanted, accounts, account)
        except ValueError as wrong:
            refusal = str(wrong)
    if made is not None and request.GET.get("format"):
        return _file(made)
    context |= _asked(request, form, kind, wanted, account) | {
        "refusal": refusal,
        "accounts": visible.order_by("name", "account_id")[:LISTED],
    }
    return render(request, "migration/guardrails.html", context, status=BAD_REQUEST if refusal else 200)


def _made(kind: Kind, wanted: Wanted, accounts: Any, account: Account | None) -> tuple[Guardrail, dict[str, Any]]:
    """The text, and what it would break. Raises ValueError with a sentence."""
    found = queries.named(kind, wanted.of(kind), accounts, account)
    simulated = wanted.of(kind)
    if not wanted.regions and kind in DEFAULTS:
        wanted = replace(wanted, regions=queries.regions(accounts))
    elif not wanted.regions and found.region:
        wanted = replace(wanted, regions=(found.region,))
    made = guardrail(kind, wanted, found.known)
    fleet = queries.fleet(kind, queries.Place(accounts, simulated.regions))
    return made, {
        "made": made,
        "blocks": _blocks(made),
        "effects": breaks.today(kind, wanted, fleet, found.chosen),
    }


def _blocks(made: Guardrail) -> list[Block]:
    blocks = [Block("text", made.file, made.text)]
    if made.undo:
        blocks.append(Block("undo", "Undo", made.undo))
    return blocks


def _file(made: Guardrail) -> HttpResponse:
    text = f"{made.text}\n# Undo:\n{_commented(made.undo)}" if made.undo else made.text
    answer = HttpResponse(text, content_type="text/plain; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{made.file}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _commented(commands: str) -> str:
    """As comments: who runs the file shall not undo at once what it did."""
    return "".join(f"{line if line.startswith('#') else f'# {line}'}\n" for line in commands.splitlines())


def _asked(
    request: SignedIn, form: GuardrailForm, kind: Kind, wanted: Wanted, account: Account | None
) -> dict[str, Any]:
    return {
        "form": form,
        "kind": kind,
        "offered": {group: [(one.value, title) for one, title in kinds.items()] for group, kinds in OFFERED.items()},
        "fields": FIELDS[kind],
        "wanted": wanted,
        "account": account,
        "partitions": PARTITIONS,
        "has_no_preference": kind in DEFAULTS,
        "denies": kind in DENIALS,
        "names": "template" if kind in TEMPLATES else "instance" if kind in INSTANCES else "",
        "by_id": kind is Kind.CLI_INSTANCE,
        "query": query_without(request, "format"),
    }
