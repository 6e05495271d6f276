"""What comes in from the browser, checked. A wrong filter is no filter; a wrong post is refused."""

from dataclasses import replace
from typing import Any, TypeVar

from django import forms
from django.http import QueryDict
from django.utils.http import url_has_allowed_host_and_scheme

from migration.domain.accounts import PARTITION, ROLE_ARN, partition_of
from migration.domain.onboarding import Filled, Way
from migration.domain.policies.texts import TITLES
from migration.domain.policies.wanted import Attach, Kind, Wanted
from migration.domain.policy import LIMITS, Terms
from migration.domain.waves import account_ids
from migration.domain.windows import DAYS, Window
from migration.enums import Emergency, FoundBy, LaunchSourceKind, Status, WaiverKind
from migration.queries import callers, waivers
from migration.queries.account import InstanceFilters
from migration.queries.accounts import ORDERS, AccountFilters
from migration.queries.audit import AuditFilters
from migration.queries.collection import SHOWN, QualityFilters
from migration.queries.launches import ANSWERS, LaunchFilters
from migration.queries.standing import ORDERS as FLEET_ORDERS
from migration.queries.standing import FleetFilters

T = TypeVar("T")
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
        usable = _usable(self)
        return FleetFilters(**(usable | {"order": usable.get("order") or "risk"}))


class CallerFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    known = forms.CharField(required=False, max_length=40)
    found_by = forms.ChoiceField(required=False, choices=[("", "Anyone"), *callers.FOUND_BY.items()])

    def filters(self) -> callers.CallerFilters:
        return callers.CallerFilters(**_usable(self))


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
        return AccountFilters(**(_usable(self) | {"order": _usable(self).get("order") or "calls"}))


class InstanceFilterForm(forms.Form):
    status = forms.ChoiceField(required=False, choices=STATUSES)
    region = forms.CharField(required=False, max_length=32)
    q = forms.CharField(required=False, max_length=100, strip=True)

    def filters(self) -> InstanceFilters:
        return InstanceFilters(**_usable(self))


class QualityFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    show = forms.ChoiceField(required=False, choices=list(SHOWN.items()))

    def filters(self) -> QualityFilters:
        return QualityFilters(**_usable(self))


class LaunchFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    account = forms.CharField(required=False, max_length=100, strip=True)
    region = forms.CharField(required=False, max_length=32)
    kind = forms.ChoiceField(required=False, choices=LaunchSourceKind.choices)
    answer = forms.ChoiceField(required=False, choices=list(ANSWERS.items()))

    def filters(self) -> LaunchFilters:
        return LaunchFilters(**_usable(self))


class AuditFilterForm(forms.Form):
    actor = forms.CharField(required=False, max_length=150)
    object = forms.CharField(required=False, max_length=64)
    verb = forms.CharField(required=False, max_length=60)
    before = forms.IntegerField(required=False, min_value=1)

    def filters(self) -> AuditFilters:
        return AuditFilters(**{name: value for name, value in _usable(self).items() if name != "before"})

    def before_seq(self) -> int | None:
        seq: int | None = _usable(self).get("before")
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


class BrakeForm(forms.Form):
    reason = forms.CharField(
        max_length=2000,
        label="Why",
        error_messages={"required": "Say why: it stands on every page while the brake is on."},
    )


class ReleaseForm(BrakeForm):
    """Whoever releases the brake types the word, so that no slip of the hand does."""

    WORD = "release"

    reason = forms.CharField(
        max_length=2000,
        label="Why",
        error_messages={"required": "Say why writing to AWS is safe again: it is kept in the audit log."},
    )
    typed = forms.CharField(
        max_length=20,
        strip=True,
        error_messages={"required": f"Type the word {WORD}: from then on AWS is written to again."},
    )

    def clean_typed(self) -> str:
        word: str = self.cleaned_data["typed"]
        if word.lower() != self.WORD:
            raise forms.ValidationError(f"Type the word {self.WORD}: from then on AWS is written to again.")
        return word


class WaiverFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=100, strip=True)
    kind = forms.ChoiceField(required=False, choices=[("", "Any kind"), *WaiverKind.choices])
    show = forms.ChoiceField(required=False, choices=list(waivers.SHOWN.items()))

    def filters(self) -> waivers.WaiverFilters:
        return waivers.WaiverFilters(**(_usable(self) | {"show": _usable(self).get("show") or "active"}))


class WaveForm(forms.Form):
    name = forms.CharField(
        max_length=120, label="Name", widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"})
    )
    owner = forms.CharField(
        max_length=200,
        label="Owner",
        help_text="Who answers for it.",
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    contact = forms.CharField(
        max_length=200,
        required=False,
        label="Contact",
        help_text="A mail address or a channel.",
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    due_on = forms.DateField(
        required=False,
        label="Due on",
        help_text="The last day, in UTC. Empty: no day, and no straight line to compare with.",
        error_messages={"invalid": "Write the day as 2027-02-20."},
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"class": "form-control", "type": "date"}),
    )
    position = forms.IntegerField(
        label="Position",
        help_text="The waves are listed in this order.",
        widget=forms.NumberInput(attrs={"class": "form-control", "inputmode": "numeric", "min": 0}),
    )


class EditWaveForm(VersionForm, WaveForm):
    pass


class WaveReasonForm(VersionForm):
    reason = forms.CharField(max_length=2000, required=False, label="Why")


class WaveAccountForm(VersionForm):
    account = forms.RegexField(
        regex=r"^[0-9]{12}$", error_messages={"invalid": "An account is its 12 digits, for example 111122223333."}
    )


class WaveAccountsForm(VersionForm):
    """Accounts pasted, or in a file; or both."""

    MOST = 1 << 20  # bytes

    accounts = forms.CharField(max_length=MOST, required=False, label="Accounts")
    file = forms.FileField(required=False, allow_empty_file=True)

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file is None:
            return ""
        if file.size > self.MOST:
            raise forms.ValidationError(f"The file is larger than {self.MOST >> 20} MB.")
        try:
            text: str = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise forms.ValidationError("The file is not text: save it as CSV, in UTF-8.") from error
        return text

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not self.errors and not said.get("accounts", "").strip() and not said.get("file", "").strip():
            raise forms.ValidationError("Paste account ids, or choose a file with them.")
        return said

    def said(self) -> list[str]:
        """What both name, of a form that is valid."""
        return [*account_ids(self.cleaned_data["accounts"]), *account_ids(self.cleaned_data["file"])]


class PolicyForm(forms.Form):
    """What shall hold where. The numbers' bounds are the action's: it says what is wrong in a sentence."""

    EVERYWHERE, UNIT, ACCOUNT = "everywhere", "ou", "account"
    NUMBER = {"class": "form-control", "inputmode": "numeric"}

    where = forms.ChoiceField(
        choices=[(EVERYWHERE, "Everywhere"), (UNIT, "An organizational unit"), (ACCOUNT, "One account")],
        label="Where",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    target = forms.CharField(
        max_length=700,
        required=False,
        label="Which",
        help_text="The unit's path, or the account's 12 digits. Empty for everywhere. The narrowest policy holds, as a "
        "whole.",
        widget=forms.TextInput(
            attrs={"class": "form-control mono", "list": "p-places", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    quorum = forms.IntegerField(
        label="Approvals by different people",
        help_text="1 to 9. Nobody who made, edited or requested the plan is counted.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 1, "max": 9}),
    )
    one_click = forms.IntegerField(
        label="Instances that need no second person",
        help_text="So many at most, all of them ready and without blockers. 0: never.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 0}),
    )
    max_failures = forms.IntegerField(
        label="Failures a run takes",
        help_text="Beyond it the run pauses.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 0}),
    )
    canary_minutes = forms.IntegerField(
        label="Minutes the first instance is watched",
        help_text="How long it may take to show data before the others follow. 0: it is only verified.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 0}),
    )
    watch_hours = forms.IntegerField(
        label="Hours of watching afterwards",
        help_text="For refused calls. A role's credentials live for about six hours, so breakage shows late.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 1}),
    )
    max_rejecting = forms.IntegerField(
        label="Instances with refused calls a wave takes",
        help_text="Beyond it the wave pauses.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 0}),
    )
    emergency = forms.ChoiceField(
        choices=Emergency.choices,
        label="Who may put a run back without waiting for a second person",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    window_zone = forms.CharField(
        max_length=64,
        required=False,
        label="Time zone",
        help_text="As Europe/Berlin. Empty: changes may be made at any time.",
        widget=forms.TextInput(
            attrs={"class": "form-control", "list": "p-zones", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    window_days = forms.TypedMultipleChoiceField(
        choices=list(enumerate(DAYS)),
        coerce=int,
        required=False,
        label="Opens on",
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
    )
    window_start = forms.TimeField(
        required=False,
        label="At",
        error_messages={"invalid": "Write the time as 22:00."},
        widget=forms.TimeInput(format="%H:%M", attrs={"class": "form-control", "type": "time"}),
    )
    window_minutes = forms.IntegerField(
        required=False,
        label="For so many minutes",
        help_text="Real ones: over a clock change it ends an hour earlier or later on the wall.",
        widget=forms.NumberInput(attrs=NUMBER | {"min": 1}),
    )
    reason = forms.CharField(
        max_length=2000,
        label="Why shall it change?",
        help_text="The second admin decides by it. It is kept in the audit log.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        zone, rest = said.get("window_zone"), [said.get(name) for name in ("window_days", "window_start")]
        if not zone and (any(rest) or said.get("window_minutes")):
            raise forms.ValidationError("A change window needs its time zone, for example Europe/Berlin.")
        if zone and said.get("window_start") is None and "window_start" not in self.errors:
            raise forms.ValidationError("A change window needs the time at which it opens, for example 22:00.")
        if said.get("where") == self.EVERYWHERE and said.get("target"):
            raise forms.ValidationError("Everywhere has no name: empty “Which”, or choose a unit or an account.")
        if said.get("where") in {self.UNIT, self.ACCOUNT} and not said.get("target"):
            raise forms.ValidationError("Say which: the unit's path, or the account's 12 digits.")
        return said

    def terms(self) -> Terms:
        """Of a form that is valid."""
        said = self.cleaned_data
        window = None
        if said["window_zone"]:
            days, minutes = tuple(sorted(said["window_days"])), said["window_minutes"] or 0
            window = Window(zone=said["window_zone"], days=days, start=said["window_start"], minutes=minutes)
        return Terms(emergency=Emergency(said["emergency"]), window=window, **{name: said[name] for name in LIMITS})


class PolicyDecideForm(DecideForm):
    """With the policy that the person saw it would replace."""

    replaces = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)


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
        said = {key: value for key, value in _usable(self).items() if value}
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


class GuardrailForm(forms.Form):
    """Which guardrail, for whom, and what it shall say. What is wrong is told in a sentence, not left out."""

    kind = forms.ChoiceField(
        required=False,
        choices=[(kind.value, title) for kind, title in TITLES.items()],
        error_messages={"invalid_choice": "There is no such text. Choose one of the list."},
    )
    account = forms.RegexField(
        required=False,
        regex=r"^[0-9]{12}$",
        strip=True,
        error_messages={"invalid": "An account is its 12 digits, for example 111122223333."},
    )
    tokens = forms.CharField(required=False, max_length=16)
    hop = forms.IntegerField(
        required=False,
        label="Hop limit",
        error_messages={"invalid": "A hop limit is a number from 1 to 64."},
    )
    enforced = forms.BooleanField(required=False)
    regions = forms.CharField(required=False, max_length=1000)
    tag = forms.CharField(required=False, max_length=400)
    role = forms.CharField(required=False, max_length=600, strip=True)
    attach = forms.ChoiceField(
        required=False,
        choices=[(one.value, one.value) for one in Attach],
        error_messages={"invalid_choice": "Statements that deny are attached as an SCP or as an IAM policy."},
    )
    partition = forms.CharField(required=False, max_length=16)
    name = forms.CharField(required=False, max_length=256, strip=True)
    stack = forms.CharField(required=False, max_length=200, strip=True)

    def kind_asked(self) -> Kind:
        return Kind(_usable(self).get("kind") or Kind.DECLARATIVE)

    def wanted(self, *, partition: str) -> Wanted:
        """As far as it was said in a way that can be read; `partition` where none was."""
        said = _usable(self)
        key, _, value = said.get("tag", "").partition("=")
        return Wanted(
            tokens=said.get("tokens") or "required",
            hop_limit=said.get("hop"),
            enforced=said.get("enforced", False),
            regions=tuple(dict.fromkeys(said.get("regions", "").replace(",", " ").split())),
            partition=said.get("partition") or partition,
            exempt_tag=(key.strip(), value.strip()) if said.get("tag") else None,
            role=said.get("role", ""),
            attach=Attach(said.get("attach") or Attach.SCP),
            name=said.get("name", ""),
            stack=said.get("stack", ""),
        )


def _usable(form: forms.Form) -> dict[str, Any]:
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
