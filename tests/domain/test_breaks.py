"""What a guardrail would break today. What is not known is never "nothing breaks"."""

from dataclasses import replace

import pytest

from migration.domain.breaks import LISTED, Chosen, Effect, Fleet, Launch, Tone, Usage, Way, after, launched, today
from migration.domain.launch import Decided
from migration.domain.policies.wanted import DEFAULTS, DENIALS, NO_PREFERENCE, Attach, Kind, Wanted
from migration.enums import LaunchAnswer, LaunchSourceKind, Level, Status

WANTED = Wanted()
ENFORCED = Wanted(enforced=True)
SAFE, OPEN, FAILS, UNKNOWN = (
    LaunchAnswer.SAFE,
    LaunchAnswer.V1_ALLOWED,
    LaunchAnswer.FAILS,
    LaunchAnswer.UNKNOWN,
)
STATES = {
    "states required": Decided("required", Level.LAUNCH),
    "states optional": Decided("optional", Level.LAUNCH),
    "not read": Decided(None, Level.LAUNCH),
    "default required": Decided("required", Level.ACCOUNT),
    "default optional": Decided("optional", Level.ACCOUNT),
    "defaults not read": Decided(None, Level.ACCOUNT),
    "AMI required": Decided("required", Level.IMAGE),
    "AMI not shown": Decided(None, Level.IMAGE),
    "says nothing": Decided("optional", Level.BASE),
}


def launch(*states: str, name: str = "web", hops: Decided | None = None, off: bool = False, **fields) -> Launch:
    ways = tuple(
        Way(
            STATES[state],
            hops or Decided(1, Level.BASE),
            Decided("disabled" if off else "enabled", Level.LAUNCH if off else Level.BASE),
        )
        for state in states
    )
    fields.setdefault("kind", LaunchSourceKind.GROUP)
    fields.setdefault("now", OPEN)
    fields.setdefault("enforced", False)
    return Launch(
        name=name, account_id="111122223333", region="eu-west-1", recent=fields.pop("recent", 3), ways=ways, **fields
    )


def fleet(*launches: Launch, **fields) -> Fleet:
    return Fleet(launches=launches, scopes=1, **fields)


def tones(effects: list[Effect]) -> list[Tone]:
    return [one.tone for one in effects]


def said(effects: list[Effect]) -> str:
    return "\n".join(f"{one.tone}: {one.text}" for one in effects)


# --- one launch, once the default is as wanted ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "required", "required_enforced", "optional", "optional_enforced"),
    [
        ("states required", SAFE, SAFE, SAFE, SAFE),
        ("states optional", OPEN, FAILS, OPEN, FAILS),
        ("not read", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
        ("default required", SAFE, SAFE, OPEN, FAILS),
        ("default optional", SAFE, SAFE, OPEN, FAILS),
        ("defaults not read", SAFE, SAFE, OPEN, FAILS),
        ("AMI required", SAFE, SAFE, OPEN, FAILS),
        ("AMI not shown", SAFE, SAFE, OPEN, FAILS),
        ("says nothing", SAFE, SAFE, OPEN, FAILS),
    ],
)
def test_a_default_decides_what_the_launch_leaves_out(state, required, required_enforced, optional, optional_enforced):
    found = [
        after(launch(state), Wanted(tokens=tokens, enforced=enforced))
        for tokens in ("required", "optional")
        for enforced in (False, True)
    ]

    assert found == [required, required_enforced, optional, optional_enforced]


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("states required", SAFE),
        ("states optional", FAILS),
        ("default required", UNKNOWN),  # what the AMI says below it is not kept
        ("defaults not read", UNKNOWN),
        ("AMI required", SAFE),
        ("says nothing", FAILS),
    ],
)
def test_without_a_default_the_ami_decides_as_far_as_it_is_known(state, answer):
    assert after(launch(state), Wanted(tokens=NO_PREFERENCE, enforced=True)) is answer


def test_a_source_of_several_launches_is_judged_by_the_worst():
    assert after(launch("states required", "states optional"), ENFORCED) is FAILS
    assert after(launch("states required", "not read"), ENFORCED) is UNKNOWN


def test_a_source_whose_launches_were_not_kept_is_unknown():
    assert after(launch(), ENFORCED) is UNKNOWN


def test_enforcement_that_is_on_already_counts_and_where_it_is_not_read_nothing_is_claimed():
    assert after(launch("states optional", enforced=True), WANTED) is FAILS
    assert after(launch("states optional", enforced=None), WANTED) is UNKNOWN


def test_imds_that_is_off_is_safe_until_enforcement_asks_for_the_tokens_all_the_same():
    assert after(launch("states optional", off=True), WANTED) is SAFE
    assert after(launch("states optional", off=True), ENFORCED) is FAILS


def test_terraform_opens_imds_that_a_default_turns_off():
    """Its resource sets what it does not mention to no preference."""
    closed = Way(STATES["says nothing"], Decided(1, Level.BASE), Decided("disabled", Level.ACCOUNT))
    one = replace(launch(now=SAFE), ways=(closed,))
    here = fleet(one, closed_defaults=1)

    assert after(one, Wanted(tokens=NO_PREFERENCE)) is SAFE
    assert after(one, Wanted(tokens=NO_PREFERENCE), resets=True) is OPEN
    assert "In 1 account-Region the default turns IMDS off" in said(today(Kind.TERRAFORM_DEFAULTS, WANTED, here))
    assert "turns IMDS off" not in said(today(Kind.CLI_DEFAULTS, WANTED, here))


# --- defaults and enforcement -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.DECLARATIVE, Kind.CLI_DEFAULTS])
def test_enforcement_tells_which_launches_would_fail_the_busiest_first(kind):
    found = today(
        kind,
        ENFORCED,
        fleet(launch("states optional", name="slow", recent=1), launch("states optional", name="busy", recent=9)),
    )

    assert found[0].tone is Tone.BREAKS
    assert found[0].text.startswith("2 launch sources would fail to launch")
    assert "10 instances came from them in 30 days" in found[0].text
    assert [one.name for one in found[0].listed] == ["busy", "slow"]


def test_terraform_cannot_enforce_so_nothing_fails_under_it():
    found = today(Kind.TERRAFORM_DEFAULTS, ENFORCED, fleet(launch("states optional")))

    assert Tone.BREAKS not in tones(found)
    assert "1 launch source goes on allowing IMDSv1" in said(found)


def test_a_default_of_required_may_break_what_calls_imdsv1_on_new_instances():
    found = today(Kind.DECLARATIVE, WANTED, fleet(launch("says nothing")))

    assert tones(found) == [Tone.MAY_BREAK]
    assert "1 launch source allows IMDSv1 today and would launch with tokens required" in found[0].text


def test_a_default_that_is_taken_back_says_what_is_opened():
    found = today(Kind.DECLARATIVE, Wanted(tokens="optional"), fleet(launch("AMI required", now=SAFE)))

    assert "1 launch source is safe today and would launch with IMDSv1 allowed" in said(found)


def test_what_fails_already_is_not_laid_at_the_new_texts_door():
    found = today(Kind.DECLARATIVE, ENFORCED, fleet(launch("states optional", now=FAILS, enforced=True)))

    assert Tone.BREAKS not in tones(found)
    assert "1 launch source already fails today" in said(found)


def test_enforcement_takes_the_way_back():
    found = today(Kind.DECLARATIVE, ENFORCED, fleet(by_status={Status.ENFORCED: 7, Status.READY: 2}))

    assert "7 instances with tokens required could not be given IMDSv1 again" in said(found)
    assert "9 instances that are there keep the options" in said(found)


def test_a_declarative_policy_that_is_there_refuses_the_call_but_not_another_policy():
    held = fleet(managed_defaults=2)

    assert "In 2 account-Regions a declarative policy holds" in said(today(Kind.CLI_DEFAULTS, WANTED, held))
    assert "holds" not in said(today(Kind.DECLARATIVE, WANTED, held))


# --- what is not known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted({*DEFAULTS, Kind.DENY_LAUNCH}))
@pytest.mark.parametrize(
    "unknown",
    [
        Fleet(),
        fleet(unread=1),
        fleet(unreadable=1),
        fleet(unsimulated=1),
        fleet(launch("not read", now=UNKNOWN, kind=LaunchSourceKind.TEMPLATE)),
    ],
)
def test_what_was_not_read_is_never_nothing(kind, unknown):
    found = today(kind, ENFORCED, unknown)

    assert Tone.UNKNOWN in tones(found)
    assert "Nothing that was collected would break" not in said(found)
    assert "Nothing is known to break. That is not the same as safe" in said(found)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_installation_that_knows_nothing_calls_nothing_safe(kind):
    found = today(kind, WANTED, Fleet())

    assert Tone.UNKNOWN in tones(found)
    assert Tone.UNHARMED not in tones(found)


def test_when_all_was_read_and_all_is_safe_it_says_so():
    found = today(Kind.DECLARATIVE, ENFORCED, fleet(launch("states required", now=SAFE)))

    assert "Nothing that was collected would break" in said(found)
    assert Tone.UNKNOWN not in tones(found)


# --- denied launches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("states required", SAFE),
        ("states optional", FAILS),
        ("says nothing", FAILS),
        ("default required", UNKNOWN),
        ("AMI required", UNKNOWN),
        ("AMI not shown", UNKNOWN),
    ],
)
def test_only_a_launch_that_states_its_tokens_is_sure_to_pass(state, answer):
    assert launched(launch(state), WANTED) is answer


@pytest.mark.parametrize(
    ("hops", "answer"),
    [
        (Decided(3, Level.LAUNCH), FAILS),
        (Decided(3, Level.ACCOUNT), UNKNOWN),
        (Decided(None, Level.ACCOUNT), UNKNOWN),
        (Decided(2, Level.LAUNCH), SAFE),
    ],
)
def test_a_launch_beyond_the_hop_limit_is_denied(hops, answer):
    assert launched(launch("states required", hops=hops), Wanted(hop_limit=2)) is answer


@pytest.mark.parametrize("kind", [LaunchSourceKind.GROUP, LaunchSourceKind.CONFIGURATION, LaunchSourceKind.SPOT])
def test_what_a_service_launches_is_not_stopped(kind):
    found = today(Kind.DENY_LAUNCH, WANTED, fleet(launch("states optional", kind=kind)))

    assert Tone.BREAKS not in tones(found)
    assert "1 launch source launches by a service-linked role and is not stopped" in said(found)


@pytest.mark.parametrize("kind", [LaunchSourceKind.TEMPLATE, LaunchSourceKind.IMAGE])
def test_what_people_launch_is_denied(kind):
    found = today(Kind.DENY_LAUNCH, WANTED, fleet(launch("states optional", kind=kind)))

    assert found[0].text.startswith("1 launch source would be denied")


@pytest.mark.parametrize(("attach", "denied"), [(Attach.SCP, False), (Attach.IAM, True)])
def test_no_scp_binds_the_management_account(attach, denied):
    one = launch("states optional", kind=LaunchSourceKind.TEMPLATE, management=True)

    found = today(Kind.DENY_LAUNCH, Wanted(attach=attach), fleet(one))

    assert (Tone.BREAKS in tones(found)) is denied
    assert ("which no SCP binds" in said(found)) is not denied


def test_stopped_instances_that_allow_imdsv1_can_still_be_started():
    found = today(Kind.DENY_LAUNCH, WANTED, fleet(stopped_v1=4))

    assert "4 stopped instances that allow IMDSv1 can still be started" in said(found)


# --- the way back, and credentials ------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "but"), [("", "again."), ("break-glass", "again, but by break-glass.")])
def test_denying_the_way_back_counts_what_could_not_be_rolled_back(role, but):
    found = today(Kind.DENY_OPT_OUT, Wanted(role=role), Fleet(by_status={Status.ENFORCED: 3}))

    assert f"3 instances with tokens required could not be given IMDSv1 {but}" in said(found)
    assert "Terraform or another tool" in said(found)


def test_credentials_of_imdsv1_break_those_that_call_it_with_a_role():
    found = today(Kind.DENY_V1_CREDENTIALS, WANTED, Fleet(with_role=Usage(calling=2, undecided=5, quiet=1)))

    assert found[0].text.startswith("2 instances with a role called IMDSv1")
    assert "Whether 5 instances with a role call IMDSv1 is not known yet" in said(found)
    assert "ec2RoleDelivery 1.0 in CloudTrail" in said(found)


def test_callers_that_were_seen_break_and_callers_that_were_not_leave_no_doubt():
    seen = today(Kind.DENY_V1_CREDENTIALS, WANTED, Fleet(delivered_v1=True))
    none = today(Kind.DENY_V1_CREDENTIALS, WANTED, Fleet(delivered_v1=False))

    assert tones(seen) == [Tone.BREAKS]
    assert tones(none) == [Tone.UNHARMED]


# --- one template, one instance -----------------------------------------------------------------------------


def test_an_instance_that_calls_imdsv1_breaks():
    chosen = Chosen("web-1", found=True, usage=Usage(calling=1), reason="12 IMDSv1 calls in 14 days.")

    found = today(Kind.CLI_INSTANCE, WANTED, Fleet(), chosen)

    assert found[0].text == "1 instance called IMDSv1 in the window: with tokens required such calls are refused."
    assert "web-1 today: 12 IMDSv1 calls in 14 days." in said(found)


def test_what_is_not_found_is_judged_by_all_and_says_so():
    found = today(Kind.TERRAFORM_TEMPLATE, WANTED, Fleet(usage=Usage(quiet=2)), Chosen("nowhere", found=False))

    assert "No template nowhere was read; what follows is about all instances" in said(found)
    assert "2 instances made no IMDSv1 call" in said(found)


def test_a_template_is_judged_by_what_it_launched():
    chosen = Chosen("web", found=True, usage=Usage(calling=2, undecided=1, refusing=3))

    found = today(Kind.CLOUDFORMATION_TEMPLATE, WANTED, Fleet(usage=Usage(calling=99)), chosen)

    assert tones(found) == [Tone.BREAKS, Tone.UNKNOWN, Tone.UNHARMED]
    assert "2 instances launched from it called IMDSv1" in found[0].text


def test_allowing_imdsv1_is_called_by_its_name():
    found = today(Kind.CLI_INSTANCE, Wanted(tokens="optional"), Fleet(), Chosen("web", found=True))

    assert "It allows IMDSv1 on the instance." in said(found)


# --- the words --------------------------------------------------------------------------------------------------


def test_long_lists_are_cut_and_the_rest_counted():
    many = [launch("states optional", name=f"web-{number}") for number in range(LISTED + 2)]

    (first, *_) = today(Kind.DECLARATIVE, ENFORCED, fleet(*many))

    assert (len(first.listed), first.more) == (LISTED, 2)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("count", [1, 2])
def test_no_sentence_has_a_hole_in_it(kind, count):
    sources = [
        replace(launch(state, now=now), kind=source, name=f"{state}{now}{number}")
        for number in range(count)
        for state in STATES
        for now in LaunchAnswer
        for source in (LaunchSourceKind.GROUP, LaunchSourceKind.TEMPLATE)
    ]
    counts, usage = dict.fromkeys(Status, count), Usage(count, count, count, count)
    full = fleet(*sources, by_status=counts, stopped_v1=count, usage=usage, with_role=usage)

    for wanted in (WANTED, Wanted(tokens="optional", enforced=True)):
        for one in today(kind, wanted.of(kind), full):
            assert "{" not in one.text
            assert one.text.endswith(".")
    assert kind in DENIALS or today(kind, WANTED, full)[0].tone is not Tone.UNHARMED
