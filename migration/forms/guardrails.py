"""What a guardrail is asked for with, as it comes in from the browser."""

from django import forms

from migration.domain.policies.texts import TITLES
from migration.domain.policies.wanted import Attach, Kind, Wanted
from migration.forms import said_rightly


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
        return Kind(said_rightly(self).get("kind") or Kind.DECLARATIVE)

    def wanted(self, *, partition: str) -> Wanted:
        """As far as it was said in a way that can be read; `partition` where none was."""
        said = said_rightly(self)
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
