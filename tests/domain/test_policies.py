"""Guardrails as texts: word for word, and valid whatever is wanted."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.domain.onboarding import PARTITIONS
from migration.domain.policies.documents import DECLARATIVE_LIMIT, SCP_LIMIT
from migration.domain.policies.texts import FILES, TITLES, guardrail
from migration.domain.policies.wanted import (
    DEFAULTS,
    DENIALS,
    FIELDS,
    INSTANCES,
    NO_PREFERENCE,
    NOTHING,
    TEMPLATES,
    TOKENS,
    Attach,
    Before,
    Kind,
    Known,
    Wanted,
    problem,
)
from tests import test_deploy

GOLDEN = Path(__file__).resolve().parent.parent / "data" / "policies"
TERRAFORM = [Kind.TERRAFORM_DEFAULTS, Kind.TERRAFORM_TEMPLATE, Kind.TERRAFORM_INSTANCE]
CLOUDFORMATION = [Kind.CLOUDFORMATION_TEMPLATE, Kind.CLOUDFORMATION_INSTANCE]
COMMANDS = [Kind.CLI_DEFAULTS, Kind.CLI_INSTANCE]
FULL = Wanted(
    hop_limit=2,
    enforced=True,
    regions=("eu-west-1", "us-gov-east-1"),
    exempt_tag=("imds-exempt", "true"),
    role="ops/break-glass",
    stack="web-stack",
)
PLAIN = Wanted(regions=("eu-west-1",))
NAMES = {Kind.CLI_INSTANCE: "i-0123456789abcdef0"}
hcl2 = test_deploy.hcl2


def named(kind: Kind, wanted: Wanted) -> Wanted:
    return replace(wanted, name=NAMES.get(kind, "web/blue(2)"))


def text(kind: Kind, wanted: Wanted = FULL, known: Known = NOTHING) -> str:
    return guardrail(kind, named(kind, wanted), known).text


def statements(kind: Kind, wanted: Wanted = FULL) -> list[dict[str, Any]]:
    return json.loads(text(kind, wanted))["Statement"]


# --- word for word ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [pytest.param(FULL, id="full"), pytest.param(PLAIN, id="plain")])
@pytest.mark.parametrize("kind", list(Kind))
def test_the_text_is_the_one_that_was_looked_at(kind: Kind, wanted: Wanted):
    """After a change that is meant, `python -m tests.domain.test_policies` writes the files, and git shows it."""
    folder = "full" if wanted is FULL else "plain"

    assert whole(kind, wanted) == golden(folder, kind).read_text()


def golden(folder: str, kind: Kind) -> Path:
    return GOLDEN / folder / f"{FILES[kind]}.txt"


def whole(kind: Kind, wanted: Wanted) -> str:
    made = guardrail(kind, named(kind, wanted))
    undo = f"\n--- undo\n{made.undo}" if made.undo else ""
    said = "".join(f"- {note.text}\n  {note.source}\n" for note in made.notes)
    return f"{made.text}{undo}\n--- notes\n{said}"


def test_every_kind_is_offered_and_has_a_file_of_its_own():
    assert set(TITLES) == set(FILES) == set(FIELDS) == set(Kind)
    assert TERRAFORM + CLOUDFORMATION + COMMANDS + [Kind.DECLARATIVE] + sorted(DENIALS) == sorted(
        Kind, key=[*TERRAFORM, *CLOUDFORMATION, *COMMANDS, Kind.DECLARATIVE, *sorted(DENIALS)].index
    )


# --- JSON: declarative policy, SCP, IAM ------------------------------------------------------------------------


def test_a_declarative_policy_spells_no_preference_with_an_underscore_and_numbers_as_strings():
    made = json.loads(text(Kind.DECLARATIVE, Wanted(tokens=NO_PREFERENCE, hop_limit=-1, enforced=True)))

    assert made["ec2_attributes"]["instance_metadata_defaults"] == {
        "http_tokens": {"@@assign": "no_preference"},
        "http_put_response_hop_limit": {"@@assign": "-1"},
        "http_tokens_enforced": {"@@assign": "enabled"},
    }


def test_launches_are_denied_by_run_instances_alone():
    """StartInstances knows the key as well: stopped instances could not start any more."""
    assert {one["Action"] for one in statements(Kind.DENY_LAUNCH)} == {"ec2:RunInstances"}


def test_a_launch_that_leaves_the_tokens_out_is_denied_too():
    for one in statements(Kind.DENY_LAUNCH):
        assert "Null" not in one["Condition"]


def test_the_way_back_is_denied_only_to_calls_that_set_the_tokens():
    instances, default, enforcement = statements(Kind.DENY_OPT_OUT)

    assert instances["Condition"]["Null"] == {"ec2:Attribute/HttpTokens": "false"}
    assert instances["Condition"]["StringNotEquals"]["ec2:Attribute/HttpTokens"] == "required"
    assert default["Condition"]["Null"] == {"ec2:Attribute/HttpTokens": "false"}
    assert enforcement["Condition"]["Null"] == {"ec2:Attribute/HttpTokensEnforced": "false"}


def test_credentials_of_imdsv1_are_told_by_how_they_were_delivered():
    (one,) = statements(Kind.DENY_V1_CREDENTIALS)

    assert (one["Action"], one["Condition"]["NumericLessThan"]) == ("*", {"ec2:RoleDelivery": "2.0"})


@pytest.mark.parametrize("kind", sorted(DENIALS))
def test_every_statement_denies_but_for_the_exempt_role_in_the_partition(kind: Kind):
    for one in statements(kind, replace(FULL, partition="aws-us-gov")):
        assert one["Effect"] == "Deny"
        assert one["Condition"]["ArnNotLike"] == {"aws:PrincipalArn": "arn:aws-us-gov:iam::*:role/ops/break-glass"}
        assert "arn:aws:" not in json.dumps(one)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (Kind.DENY_LAUNCH, "aws:RequestTag/imds-exempt"),
        (Kind.DENY_OPT_OUT, "aws:ResourceTag/imds-exempt"),
        (Kind.DENY_V1_CREDENTIALS, "aws:PrincipalTag/imds-exempt"),
    ],
)
def test_the_exempt_tag_is_looked_for_where_it_can_be(kind: Kind, key: str):
    assert statements(kind)[0]["Condition"]["StringNotEquals"][key] == "true"


def test_a_policy_that_grows_too_long_is_written_without_blanks_and_then_refused():
    some = tuple(f"ap-southeast-{number}" for number in range(1, 50))
    many = tuple(f"ap-southeast-{number}" for number in range(1, 99))

    assert len(text(Kind.DENY_OPT_OUT, replace(FULL, regions=some)).splitlines()) == 1
    with pytest.raises(ValueError, match="AWS takes 5,120"):
        text(Kind.DENY_OPT_OUT, replace(FULL, regions=many))


# --- AWS CLI ------------------------------------------------------------------------------------------------


@cache
def ec2() -> Any:
    return botocore.session.get_session().get_service_model("ec2")


def joined(script: str) -> list[str]:
    """The commands, each on one line."""
    return script.replace(" \\\n  ", " ").splitlines()


def check_commands(script: str) -> None:
    """Each command is an operation of EC2, each flag one of its members, each value one of its kind."""
    operations = {xform_name(name, "-"): name for name in ec2().operation_names}
    for line in joined(script):
        if line.startswith("#"):
            continue
        aws, service, command, *rest = shlex.split(line)
        assert (aws, service) == ("aws", "ec2")
        members = {
            f"--{xform_name(name, '-')}": shape
            for name, shape in ec2().operation_model(operations[command]).input_shape.members.items()
        }
        for flag, value in zip(rest[::2], rest[1::2], strict=True):
            if flag in {"--region", "--query"}:
                continue
            check_value(members[flag], value)


def check_value(shape: Any, value: str) -> None:
    if shape.type_name == "integer":
        assert re.fullmatch(r"-1|[1-9]\d?", value)
    elif getattr(shape, "enum", None):
        assert value in shape.enum
    else:
        assert shape.type_name in {"string", "list"}


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [(kind, tokens) for kind in COMMANDS for tokens in TOKENS if kind in DEFAULTS or tokens != NO_PREFERENCE],
)
def test_commands_and_their_undo_are_what_the_api_takes(kind: Kind, tokens: str):
    made = guardrail(kind, named(kind, replace(FULL, tokens=tokens)))

    check_commands(made.text)
    check_commands(made.undo)


@pytest.mark.parametrize("tokens", ["required", "optional"])
@pytest.mark.parametrize("kind", sorted({*INSTANCES, *TEMPLATES}))
def test_nothing_is_said_of_the_endpoint_so_that_imds_that_is_off_stays_off(kind: Kind, tokens: str):
    made = guardrail(kind, named(kind, replace(FULL, tokens=tokens)))

    assert not re.search("http.?endpoint", made.text + made.undo, re.IGNORECASE)


def test_the_undo_of_a_default_is_what_was_read_and_no_preference_where_aws_said_nothing():
    known = Known("111122223333", {"eu-west-1": Before("optional", 3, "disabled"), "us-gov-east-1": Before()})

    undo = joined(guardrail(Kind.CLI_DEFAULTS, FULL, known).undo)

    command = "aws ec2 modify-instance-metadata-defaults --region"
    silent = "--http-tokens no-preference --http-put-response-hop-limit -1 --http-tokens-enforced no-preference"
    assert undo == [
        f"{command} eu-west-1 --http-tokens optional --http-put-response-hop-limit 3 --http-tokens-enforced disabled",
        f"{command} us-gov-east-1 {silent}",
    ]


def test_the_undo_touches_only_what_was_said():
    known = Known("111122223333", {"eu-west-1": Before("optional", 3, "disabled")})

    undo = joined(guardrail(Kind.CLI_DEFAULTS, PLAIN, known).undo)

    assert undo == ["aws ec2 modify-instance-metadata-defaults --region eu-west-1 --http-tokens optional"]


def test_the_undo_of_an_instance_gives_back_its_own_hop_limit():
    wanted = replace(named(Kind.CLI_INSTANCE, PLAIN), hop_limit=2)
    known = Known("111122223333", instance=Before("optional", 1))

    command = "aws ec2 modify-instance-metadata-options --region eu-west-1 --instance-id i-0123456789abcdef0"
    assert joined(guardrail(Kind.CLI_INSTANCE, wanted, known).undo) == [
        f"{command} --http-tokens optional --http-put-response-hop-limit 1"
    ]


@pytest.mark.parametrize("kind", COMMANDS)
def test_an_undo_that_is_a_guess_says_so(kind: Kind):
    assert "not known here" in guardrail(kind, named(kind, FULL)).undo


# --- Terraform and CloudFormation -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TERRAFORM)
def test_terraform_can_be_read(hcl2, kind: Kind):
    made = test_deploy.bare(hcl2.loads(text(kind)))

    (resource,) = made["resource"][:1]
    ((_, by_label),) = resource.items()
    ((_, body),) = by_label.items()
    said = body.get("metadata_options", [body])[0]
    assert (said["http_tokens"], said["http_put_response_hop_limit"]) == ("required", 2)


def test_each_region_has_a_provider_of_its_own(hcl2):
    made = test_deploy.bare(hcl2.loads(text(Kind.TERRAFORM_DEFAULTS)))

    assert [one["aws"]["region"] for one in made["provider"]] == ["eu-west-1", "us-gov-east-1"]
    assert len(made["resource"]) == len(made["provider"])


def test_terraform_itself_finds_the_texts_valid_and_well_formatted(tmp_path: Path):
    """As in tests/test_deploy.py: where there is a terraform that gets its AWS provider."""
    if shutil.which("terraform") is None:
        pytest.skip("TERRAFORM VALIDATE SKIPPED: terraform is not on this machine.")
    for kind in TERRAFORM:
        (tmp_path / FILES[kind]).write_text(text(kind))
    begun = test_deploy.terraform(tmp_path, "init", "-backend=false", "-input=false")
    if begun.returncode:
        pytest.skip(f"TERRAFORM VALIDATE SKIPPED: it cannot get its AWS provider. {begun.stderr.strip()[:300]}")

    done = test_deploy.terraform(tmp_path, "validate")
    shaped = test_deploy.terraform(tmp_path, "fmt", "-check", "-diff")

    assert done.returncode == 0, done.stdout + done.stderr
    assert shaped.returncode == 0, shaped.stdout


def test_cfn_lint_has_nothing_to_say(tmp_path: Path):
    for number, wanted in enumerate((FULL, PLAIN)):
        for kind in CLOUDFORMATION:
            (tmp_path / f"{number}-{FILES[kind]}").write_text(text(kind, wanted))
    tool = Path(sys.executable).parent / "cfn-lint"

    done = subprocess.run([tool, *tmp_path.glob("*.yaml")], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


# --- whatever is wanted -----------------------------------------------------------------------------------------

TAGS = st.tuples(
    st.from_regex(r"(?!aws:)[\w .:/=+@-]{1,20}", fullmatch=True, alphabet=st.characters(codec="ascii")),
    st.from_regex(r"[\w .:/=+@-]{0,20}", fullmatch=True, alphabet=st.characters(codec="ascii")),
)
ANYTHING = st.builds(
    Wanted,
    tokens=st.sampled_from(TOKENS),
    hop_limit=st.none() | st.just(-1) | st.integers(1, 64),
    enforced=st.booleans(),
    regions=st.lists(st.sampled_from(["eu-west-1", "us-gov-east-1", "cn-north-1"]), unique=True).map(tuple),
    partition=st.sampled_from(list(PARTITIONS)),
    exempt_tag=st.none() | TAGS,
    role=st.just("") | st.from_regex(r"[\w+=,.@-]{1,20}", fullmatch=True, alphabet=st.characters(codec="ascii")),
    attach=st.sampled_from(Attach),
    name=st.sampled_from(["", "i-0123456789abcdef0", "web", "web/blue(2)", "1-st.one"]),
    stack=st.just("") | st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,20}", fullmatch=True),
)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in TERRAFORM])
@given(wanted=ANYTHING)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_wanted_is_valid_or_refused_with_a_sentence(kind: Kind, wanted: Wanted):
    if wrong := problem(kind, wanted.of(kind)):
        assert wrong.endswith((".", "_"))
        return
    made = guardrail(kind, wanted)
    assert made.notes
    assert made.text.endswith("\n")
    if kind in COMMANDS:
        check_commands(made.text)
        check_commands(made.undo)
    elif kind in CLOUDFORMATION:
        assert f"HttpTokens: {wanted.tokens}" in made.text
        assert yaml.safe_load(made.text)["Resources"]
    else:
        assert len(made.text) <= (SCP_LIMIT if kind in DENIALS else DECLARATIVE_LIMIT)
        assert json.loads(made.text)


@given(wanted=ANYTHING)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_wanted_terraform_can_be_read(hcl2, wanted: Wanted):
    for kind in TERRAFORM:
        if not problem(kind, wanted.of(kind)):
            assert hcl2.loads(guardrail(kind, wanted).text)["resource"]


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (Kind.CLI_INSTANCE, {"tokens": NO_PREFERENCE}, "exists for defaults only"),
        (Kind.CLI_INSTANCE, {"name": "web; rm -rf /"}, "is not the id of an instance"),
        (Kind.CLI_DEFAULTS, {"tokens": "maybe"}, "required, optional, or no preference"),
        (Kind.CLI_DEFAULTS, {"hop_limit": 0}, "from 1 to 64"),
        (Kind.CLI_DEFAULTS, {"hop_limit": 65}, "from 1 to 64"),
        (Kind.CLI_DEFAULTS, {"regions": ("eu-west-1; id",)}, "is not a Region"),
        (Kind.TERRAFORM_TEMPLATE, {"hop_limit": -1}, "exists for defaults only"),
        (Kind.TERRAFORM_TEMPLATE, {"name": "${file(x)}"}, "3 to 125 letters"),
        (Kind.CLOUDFORMATION_TEMPLATE, {"stack": "1st"}, "begins with a letter"),
        (Kind.DENY_LAUNCH, {"role": "arn:aws:iam::1:role/x"}, "not by its ARN"),
        (Kind.DENY_LAUNCH, {"role": "*"}, "not by its ARN"),
        (Kind.DENY_LAUNCH, {"exempt_tag": ("aws:x", "y")}, "Key=Value"),
        (Kind.DENY_LAUNCH, {"partition": "aws-mars"}, "is not a partition"),
    ],
)
def test_what_cannot_be_said_is_refused_with_a_sentence(kind: Kind, wrong: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        guardrail(kind, replace(PLAIN, **wrong))


def test_an_instances_name_cannot_leave_its_quotation_marks(hcl2):
    made = guardrail(Kind.TERRAFORM_INSTANCE, replace(PLAIN, name='x" {\n} ${file("/etc/passwd")}'))

    assert list(test_deploy.bare(hcl2.loads(made.text))["resource"][0]["aws_instance"]) == [
        "x________file___etc_passwd___"
    ]


def test_no_option_is_lost_in_silence():
    """What a text cannot say is not asked for either."""
    for kind in Kind:
        assert FIELDS[kind] >= ({"tokens"} if kind not in DENIALS else {"role"})
    assert "enforced" not in FIELDS[Kind.TERRAFORM_DEFAULTS]
    assert any("cannot enforce" in note.text for note in guardrail(Kind.TERRAFORM_DEFAULTS, FULL).notes)
    assert all("enforced" in FIELDS[kind] for kind in DEFAULTS - {Kind.TERRAFORM_DEFAULTS})


if __name__ == "__main__":
    for folder, wanted_ in (("full", FULL), ("plain", PLAIN)):
        (GOLDEN / folder).mkdir(parents=True, exist_ok=True)
        for kind_ in Kind:
            golden(folder, kind_).write_text(whole(kind_, wanted_))
