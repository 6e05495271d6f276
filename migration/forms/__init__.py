"""What comes in from the browser, checked. A wrong filter is no filter; a wrong post is refused."""

import re
from dataclasses import replace
from typing import Any, TypeVar, cast

from django import forms
from django.http import QueryDict
from django.utils.http import url_has_allowed_host_and_scheme

from migration.domain.accounts import PARTITION, ROLE_ARN, partition_of
from migration.domain.onboarding import Filled, Way
from migration.domain.plan import Scope
from migration.enums import FoundBy, LaunchSourceKind, RequestKind, ScopeKind, Status, WaiverKind
from migration.queries import callers, waivers
from migration.queries.account import InstanceFilters
from migration.queries.accounts import ORDERS, AccountFilters
from migration.queries.audit import AuditFilters
from migration.queries.collection import SHOWN, QualityFilters
from migration.queries.launches import ANSWERS, LaunchFilters
from migration.queries.standing import ORDERS as FLEET_ORDERS
from migration.queries.standing import FleetFilters

T = TypeVar("T")
INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
STATUSES = [("", "Any status"), *((status.value, status.label) for status in Status)]


class VersionForm(forms.Form):
    """Which version of the request the person was looking at."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class SubmitForm(VersionForm):
    reason = forms.CharField(
        max_length=2000,
        label="Why now?",
        help_text="The approver reads this. It is kept in the audit log.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )


class ConfirmForm(VersionForm):
    """What a heavy button asks for beside the click."""

    typed = forms.CharField(
        max_length=200,
        label="Type the account's name or id",
        error_messages={"required": "Type the account's name or id to confirm. Nothing was changed."},
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off", "autocapitalize": "none"}),
    )
    password = forms.CharField(
        required=False,
        strip=False,
        max_length=4096,
        label="Your password",
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "current-password"}),
    )


class ApproveForm(ConfirmForm):
    comment = forms.CharField(
        max_length=2000,
        required=False,
        label="Comment",
        help_text="Needed when you reject, kept in the audit log either way.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )


class EmergencyForm(ConfirmForm):
    reason = forms.CharField(
        max_length=2000,
        label="Why can it not wait?",
        help_text="Everybody is told at once.",
        error_messages={"required": "Say why it cannot wait: everybody is told. Nothing was changed."},
        widget=forms.Textarea(attrs={"rows": 2, "class": "form-control"}),
    )


class EditForm(VersionForm):
    """The changes taken out of a draft, each as kind|Region|resource id."""

    MOST = 20_000

    reason = forms.CharField(
        max_length=400,
        label="Why leave them out?",
        error_messages={"required": "Say why they are left out; the approver reads it. The plan is as it was."},
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )

    def keys(self) -> list[tuple[str, str, str]]:
        """What was ticked; a value that is no key becomes one that no plan has."""
        chosen = cast("QueryDict", self.data).getlist("change")[: self.MOST]
        parts = [value.split("|", 2) for value in chosen]
        return [
            (one[0], one[1], one[2]) if len(one) == len(("kind", "region", "id")) else ("", "", one[0]) for one in parts
        ]


class ScopeForm(forms.Form):
    """What of an account is to be planned for: nothing said, all of it."""

    MOST = 1000  # instances named one by one

    kind = forms.ChoiceField(
        required=False,
        choices=[(one.value, one.label) for one in (RequestKind.ENFORCE, RequestKind.HOP_LIMIT, RequestKind.IMDS_OFF)],
    )
    group = forms.CharField(required=False, max_length=255)
    region = forms.CharField(required=False, max_length=32)
    status = forms.ChoiceField(required=False, choices=STATUSES)
    q = forms.CharField(required=False, max_length=100, strip=True)
    instances = forms.CharField(required=False, max_length=MOST * 24)

    def clean_instances(self) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(self.cleaned_data["instances"].replace(",", " ").split()))
        wrong = [one for one in named if not INSTANCE_ID.fullmatch(one)]
        if wrong:
            raise forms.ValidationError(f"{wrong[0][:40]} is not an instance id, which looks like i-0123456789abcdef0.")
        if len(named) > self.MOST:
            raise forms.ValidationError(f"Name at most {self.MOST:,} instances, or plan the group or the account.")
        return named

    def scope(self) -> Scope:
        """The narrowest that was said."""
        said = self.cleaned_data
        if said["instances"]:
            return Scope(ScopeKind.INSTANCES, instances=said["instances"])
        if said["group"]:
            return Scope(ScopeKind.GROUP, region=said["region"], group=said["group"])
        if said["status"] or said["q"]:
            return Scope(ScopeKind.FILTER, region=said["region"], status=said["status"], q=said["q"])
        return Scope(region=said["region"])

    def request_kind(self) -> RequestKind:
        return RequestKind(self.cleaned_data["kind"] or RequestKind.ENFORCE)


class RungForm(forms.Form):
    """Which rung of an account's ladder is to be planned."""

    KINDS = (
        RequestKind.TEMPLATES,
        RequestKind.IMAGES,
        RequestKind.DEFAULTS,
        RequestKind.ENFORCEMENT,
        RequestKind.LIFT,
    )

    kind = forms.ChoiceField(choices=[(one.value, one.label) for one in KINDS])
    region = forms.RegexField(regex=r"^[a-z0-9-]{5,32}$", required=False)
    hop_limit = forms.TypedChoiceField(
        choices=[("", "hop limit as it is"), *((str(one), f"hop limit {one}") for one in (1, 2, 3))],
        coerce=int,
        required=False,
        empty_value=None,
        label="Hop limit of new launches",
        widget=forms.Select(attrs={"class": "form-select"}),
    )


class ManyForm(forms.Form):
    """An OU or a wave, whose accounts are planned one by one."""

    ou = forms.CharField(required=False, max_length=700)
    wave = forms.IntegerField(required=False, min_value=1)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if bool(said.get("ou")) == bool(said.get("wave")):
            raise forms.ValidationError("Say which organizational unit, or which wave. No plan was made.")
        return said


class DecideForm(VersionForm):
    comment = forms.CharField(
        max_length=2000,
        required=False,
        label="Comment",
        help_text="Optional when you approve. Kept in the audit log.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )


class RejectForm(DecideForm):
    comment = forms.CharField(
        max_length=2000,
        label="Comment",
        error_messages={"required": "Say why you reject it: the requester has to know what to change."},
    )


class HopLimitForm(forms.Form):
    """The hop limit a plan sets for a workload; empty: it stays."""

    hop_limit = forms.TypedChoiceField(
        choices=[("", "Keep as it is"), ("2", "2, for containers"), ("3", "3, for an overlay network")],
        coerce=int,
        required=False,
        empty_value=None,
    )


class FleetFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    status = forms.ChoiceField(required=False, choices=STATUSES)
    account = forms.RegexField(required=False, regex=r"^[0-9]{12}$")
    region = forms.CharField(required=False, max_length=32)
    order = forms.ChoiceField(required=False, choices=list(FLEET_ORDERS.items()))

    def filters(self) -> FleetFilters:
        usable = said_rightly(self)
        return FleetFilters(**(usable | {"order": usable.get("order") or "risk"}))


class CallerFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    known = forms.CharField(required=False, max_length=40)
    found_by = forms.ChoiceField(required=False, choices=[("", "Anyone"), *callers.FOUND_BY.items()])

    def filters(self) -> callers.CallerFilters:
        return callers.CallerFilters(**said_rightly(self))


class CallerImportForm(forms.Form):
    """A file that tells who calls. The ids begin with c-, for the page has a filter form too."""

    MOST = 32 << 20  # bytes

    kind = forms.ChoiceField(
        choices=[
            (FoundBy.ATHENA.value, "Result of the Athena query (CSV)"),
            (FoundBy.ANALYZER.value, "Log of the IMDS packet analyzer"),
        ]
    )
    file = forms.FileField(error_messages={"required": "Choose the file first."})
    account = forms.RegexField(
        regex=r"^[0-9]{12}$", required=False, error_messages={"invalid": "An account is its 12 digits."}
    )
    region = forms.RegexField(
        regex=r"^[a-z0-9-]{5,32}$", required=False, error_messages={"invalid": "A Region looks like eu-west-1."}
    )
    instance = forms.RegexField(
        regex=r"^i-[0-9a-f]{8,17}$", required=False, error_messages={"invalid": "An instance is its id, i-…"}
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > self.MOST:
            raise forms.ValidationError(f"The file is larger than {self.MOST >> 20} MB; use manage.py callers import.")
        return file

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        whose = all(said.get(name) for name in ("account", "region", "instance"))
        if said.get("kind") == FoundBy.ANALYZER and not whose:
            raise forms.ValidationError("A log of the analyzer is of one instance: say account, Region and instance.")
        return said


class AccountFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    ou = forms.CharField(required=False, max_length=512)
    status = forms.ChoiceField(required=False, choices=STATUSES)
    incomplete = forms.BooleanField(required=False)
    order = forms.ChoiceField(required=False, choices=list(ORDERS.items()))

    def filters(self) -> AccountFilters:
        return AccountFilters(**(said_rightly(self) | {"order": said_rightly(self).get("order") or "calls"}))


class InstanceFilterForm(forms.Form):
    status = forms.ChoiceField(required=False, choices=STATUSES)
    region = forms.CharField(required=False, max_length=32)
    q = forms.CharField(required=False, max_length=100, strip=True)

    def filters(self) -> InstanceFilters:
        return InstanceFilters(**said_rightly(self))


class QualityFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    show = forms.ChoiceField(required=False, choices=list(SHOWN.items()))

    def filters(self) -> QualityFilters:
        return QualityFilters(**said_rightly(self))


class LaunchFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    account = forms.CharField(required=False, max_length=100, strip=True)
    region = forms.CharField(required=False, max_length=32)
    kind = forms.ChoiceField(required=False, choices=LaunchSourceKind.choices)
    answer = forms.ChoiceField(required=False, choices=list(ANSWERS.items()))

    def filters(self) -> LaunchFilters:
        return LaunchFilters(**said_rightly(self))


class AuditFilterForm(forms.Form):
    actor = forms.CharField(required=False, max_length=150)
    object = forms.CharField(required=False, max_length=64)
    verb = forms.CharField(required=False, max_length=60)
    before = forms.IntegerField(required=False, min_value=1)

    def filters(self) -> AuditFilters:
        return AuditFilters(**{name: value for name, value in said_rightly(self).items() if name != "before"})

    def before_seq(self) -> int | None:
        seq: int | None = said_rightly(self).get("before")
        return seq


class WaiverForm(forms.Form):
    """What a waiver is asked for. The fields' ids begin with w-, for the page has other forms too."""

    account = forms.RegexField(
        regex=r"^[0-9]{12}$",
        label="Account",
        strip=True,
        error_messages={"invalid": "An account is its 12 digits, for example 111122223333."},
        widget=forms.TextInput(
            attrs={"class": "form-control mono", "inputmode": "numeric", "list": "w-accounts", "autocomplete": "off"}
        ),
    )
    kind = forms.ChoiceField(
        choices=WaiverKind.choices, label="What", widget=forms.Select(attrs={"class": "form-select"})
    )
    target = forms.CharField(
        max_length=400,
        required=False,
        label="Which",
        help_text="An instance id (i-…), a group's name, or a tag as Key=Value. Empty for the whole account.",
        widget=forms.TextInput(attrs={"class": "form-control mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    region = forms.CharField(
        max_length=32,
        required=False,
        label="Region",
        help_text="Empty: in every Region.",
        widget=forms.TextInput(attrs={"class": "form-control mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    expires_on = forms.DateField(
        label="Until",
        help_text="The last day on which it holds, in UTC.",
        error_messages={"invalid": "Write the day as 2027-02-20."},
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"class": "form-control", "type": "date"}),
    )
    reason = forms.CharField(
        max_length=2000,
        label="Why can it not be enforced yet?",
        help_text="The approver decides by it, and it stands beside each instance that is waived.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )


class RenewForm(forms.Form):
    expires_on = WaiverForm.base_fields["expires_on"]
    reason = forms.CharField(
        max_length=2000,
        label="Why is it still needed?",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )


class EndForm(VersionForm):
    reason = forms.CharField(
        max_length=2000,
        label="Why does it end now?",
        widget=forms.Textarea(attrs={"rows": 2, "class": "form-control"}),
    )


class WaiverFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    kind = forms.ChoiceField(required=False, choices=[("", "Any kind"), *WaiverKind.choices])
    show = forms.ChoiceField(required=False, choices=list(waivers.SHOWN.items()))

    def filters(self) -> waivers.WaiverFilters:
        return waivers.WaiverFilters(**(said_rightly(self) | {"show": said_rightly(self).get("show") or "active"}))


class ConnectForm(forms.Form):
    """What the texts to copy are filled with, as far as the person says it; none of it is secret."""

    way = forms.ChoiceField(required=False, choices=[(way.value, way.value) for way in Way])
    partition = forms.RegexField(required=False, regex=rf"^{PARTITION.pattern}$", max_length=16)
    central = forms.RegexField(
        required=False,
        regex=rf"^{ROLE_ARN.pattern}$",
        max_length=700,
        strip=True,
        label="Central role",
        error_messages={"invalid": "That is not the ARN of a role, such as arn:aws:iam::111122223333:role/imdsdash."},
    )
    organization = forms.RegexField(
        required=False,
        regex=r"^o-[a-z0-9]{10,32}$",
        max_length=40,
        strip=True,
        label="Organization",
        error_messages={"invalid": "That is not the id of an organization; it looks like o-a1b2c3d4e5."},
    )

    def filled(self, known: Filled) -> Filled:
        """What is known, overridden by what was said."""
        said = {key: value for key, value in said_rightly(self).items() if value}
        partition = said.get("partition") or partition_of(said.get("central", "")) or known.partition
        other = partition != known.partition  # then neither the known role nor the known organization is of it
        central = said.get("central") or ("" if other else known.central_role_arn)
        return replace(
            known,
            partition=partition,
            central_role_arn=central if partition_of(central) == partition else "",
            central_account="" if other else known.central_account,
            organization_id=said.get("organization") or ("" if other else known.organization_id),
        )


def said_rightly(form: forms.Form) -> dict[str, Any]:
    """The fields that are right; is_valid() drops the others."""
    form.is_valid()
    return form.cleaned_data


def first_error(form: forms.Form) -> str:
    """One sentence that says what to mend."""
    for name, errors in form.errors.items():
        label = form.fields[name].label or name.capitalize() if name in form.fields else ""
        text = str(errors[0])
        if text == "Enter a whole number.":
            return f"“{label}” is not a whole number."
        return text if text != "This field is required." else f"“{label}” is empty: write a few words."
    return "The form could not be read."


def safe_next(data: QueryDict, *, host: str, secure: bool, default: str) -> str:
    """Where to go back to, never to another site."""
    wanted = data.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={host}, require_https=secure):
        return wanted
    return default
