"""What steers enforcement, as it comes in from the browser: the brake, waves and policies."""

from typing import Any

from django import forms

from migration.domain.policy import LIMITS, Terms
from migration.domain.waves import account_ids
from migration.domain.windows import DAYS, Window
from migration.enums import Emergency
from migration.forms import DecideForm, VersionForm


class BrakeForm(forms.Form):
    reason = forms.CharField(
        max_length=2000,
        label="Why",
        error_messages={"required": "Say why: it stands on every page while the brake is on."},
    )


class ReleaseForm(BrakeForm):
    """Whoever releases the brake types the word, so that no slip of the hand does, and the password where it is long
    ago.
    """

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

    password = forms.CharField(required=False, strip=False, max_length=4096)

    def clean_typed(self) -> str:
        word: str = self.cleaned_data["typed"]
        if word.lower() != self.WORD:
            raise forms.ValidationError(f"Type the word {self.WORD}: from then on AWS is written to again.")
        return word


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
        help_text="Beyond it the run and its wave pause.",
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
