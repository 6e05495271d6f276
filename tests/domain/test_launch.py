"""What a launch would get: every combination written out, and what no reading may ever make better."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain.facts import DefaultsFact
from migration.domain.launch import WORST, Decided, resolve, worst
from migration.domain.launch_facts import ImageFact, LaunchOptions
from migration.enums import LaunchAnswer, Level

IMAGES = {
    "v2.0": ImageFact("ami-1", readable=True, imds_support="v2.0"),
    "null": ImageFact("ami-1", readable=True),
    "unreadable": ImageFact("ami-1", readable=False),
}
STATED = {"-": None, "O": "optional", "R": "required"}
ENFORCED = {"off": None, "on": "enabled"}
ANSWERS = {"safe": LaunchAnswer.SAFE, "v1": LaunchAnswer.V1_ALLOWED, "fails": LaunchAnswer.FAILS, "?": "unknown"}
LEVELS = {"launch": Level.LAUNCH, "account": Level.ACCOUNT, "AMI": Level.IMAGE, "base": Level.BASE}

# launch, account, AMI -> tokens and the level that decides (or that cannot be read), then the answer with enforcement
# off, on, and as if it were on. "?" as account: the defaults are not read, and so nor is enforcement.
TOKENS = """
 -  -  v2.0        R  AMI      safe   safe   safe
 -  -  null        O  base     v1     fails  fails
 -  -  unreadable  ?  AMI      ?      ?      ?
 -  O  v2.0        O  account  v1     fails  fails
 -  O  null        O  account  v1     fails  fails
 -  O  unreadable  O  account  v1     fails  fails
 -  R  v2.0        R  account  safe   safe   safe
 -  R  null        R  account  safe   safe   safe
 -  R  unreadable  R  account  safe   safe   safe
 O  -  v2.0        O  launch   v1     fails  fails
 O  -  null        O  launch   v1     fails  fails
 O  -  unreadable  O  launch   v1     fails  fails
 O  O  v2.0        O  launch   v1     fails  fails
 O  O  null        O  launch   v1     fails  fails
 O  O  unreadable  O  launch   v1     fails  fails
 O  R  v2.0        O  launch   v1     fails  fails
 O  R  null        O  launch   v1     fails  fails
 O  R  unreadable  O  launch   v1     fails  fails
 R  -  v2.0        R  launch   safe   safe   safe
 R  -  null        R  launch   safe   safe   safe
 R  -  unreadable  R  launch   safe   safe   safe
 R  O  v2.0        R  launch   safe   safe   safe
 R  O  null        R  launch   safe   safe   safe
 R  O  unreadable  R  launch   safe   safe   safe
 R  R  v2.0        R  launch   safe   safe   safe
 R  R  null        R  launch   safe   safe   safe
 R  R  unreadable  R  launch   safe   safe   safe
"""
# launch, AMI -> the same with the defaults not read: no enforcement column, for it is not read either.
UNREAD = """
 -  v2.0        ?  account  ?      ?
 -  null        ?  account  ?      ?
 -  unreadable  ?  account  ?      ?
 O  v2.0        O  launch   ?      fails
 O  null        O  launch   ?      fails
 O  unreadable  O  launch   ?      fails
 R  v2.0        R  launch   safe   safe
 R  null        R  launch   safe   safe
 R  unreadable  R  launch   safe   safe
"""
# launch, account, AMI -> hop limit and level.
HOPS = """
 -  -  v2.0        2  AMI
 -  -  null        1  base
 -  -  unreadable  ?  AMI
 -  1  v2.0        1  account
 -  1  null        1  account
 -  1  unreadable  1  account
 -  3  v2.0        3  account
 -  3  null        3  account
 -  3  unreadable  3  account
 5  -  v2.0        5  launch
 5  -  null        5  launch
 5  -  unreadable  5  launch
 5  1  v2.0        5  launch
 5  1  null        5  launch
 5  1  unreadable  5  launch
 5  3  v2.0        5  launch
 5  3  null        5  launch
 5  3  unreadable  5  launch
"""


def lines(table: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in table.strip().splitlines()]


def decided(value: str, level: str) -> Decided:
    return Decided({"O": "optional", "R": "required", "?": None}.get(value, value), LEVELS[level])


@pytest.mark.parametrize("line", lines(TOKENS), ids=" ".join)
@pytest.mark.parametrize("enforced", ["off", "on"])
def test_the_truth_table_of_tokens(line, enforced):
    launch, account, image, tokens, level, off, on, as_if = line
    defaults = DefaultsFact(http_tokens=STATED[account], http_tokens_enforced=ENFORCED[enforced])

    found = resolve(LaunchOptions(http_tokens=STATED[launch]), defaults, IMAGES[image])

    assert found.tokens == decided(tokens, level)
    assert found.answer_now == ANSWERS[on if enforced == "on" else off]
    assert found.answer_enforced == ANSWERS[as_if]


@pytest.mark.parametrize("line", lines(UNREAD), ids=" ".join)
def test_the_truth_table_of_tokens_where_the_defaults_are_not_read(line):
    launch, image, tokens, level, now, as_if = line

    found = resolve(LaunchOptions(http_tokens=STATED[launch]), None, IMAGES[image])

    assert (found.tokens, found.enforced) == (decided(tokens, level), None)
    assert (found.answer_now, found.answer_enforced) == (ANSWERS[now], ANSWERS[as_if])


@pytest.mark.parametrize(("launch", "account", "image", "hop", "level"), lines(HOPS))
def test_the_truth_table_of_the_hop_limit(launch, account, image, hop, level):
    number = lambda word: None if word in {"-", "?"} else int(word)  # noqa: E731 -- said four times below

    found = resolve(
        LaunchOptions(http_put_response_hop_limit=number(launch)),
        DefaultsFact(http_put_response_hop_limit=number(account)),
        IMAGES[image],
    )

    assert found.hop_limit == Decided(number(hop), LEVELS[level])


def test_the_tables_hold_every_combination():
    assert [line[:3] for line in lines(TOKENS)] == list(product("-OR", "-OR", IMAGES))
    assert [line[:2] for line in lines(UNREAD)] == list(product("-OR", IMAGES))
    assert [line[:3] for line in lines(HOPS)] == list(product("-5", "-13", IMAGES))


@pytest.mark.parametrize(
    ("option", "stated", "default", "base"),
    [
        ("endpoint", "disabled", "disabled", "enabled"),
        ("tags", "enabled", "enabled", "disabled"),
    ],
)
def test_endpoint_and_tags_know_no_ami(option, stated, default, base):
    field = {"endpoint": "http_endpoint", "tags": "instance_metadata_tags"}[option]
    unread = IMAGES["unreadable"]

    found = [
        getattr(resolve(launch, defaults, unread), option)
        for launch, defaults in [
            (LaunchOptions(**{field: stated}), DefaultsFact()),
            (LaunchOptions(), DefaultsFact(**{field: default})),
            (LaunchOptions(), DefaultsFact()),
            (LaunchOptions(), None),
        ]
    ]

    assert found == [
        Decided(stated, Level.LAUNCH),
        Decided(default, Level.ACCOUNT),
        Decided(base, Level.BASE),
        Decided(None, Level.ACCOUNT),
    ]


def test_ipv6_has_no_default_of_the_account():
    assert resolve(LaunchOptions(), None, None).ipv6 == Decided("disabled", Level.BASE)
    assert resolve(LaunchOptions(http_protocol_ipv6="enabled"), None, None).ipv6 == Decided("enabled", Level.LAUNCH)


def test_case_24_an_account_hop_limit_of_one_wins_over_the_two_of_an_ami_with_v2():
    found = resolve(LaunchOptions(), DefaultsFact(http_put_response_hop_limit=1), IMAGES["v2.0"])

    assert (found.tokens, found.hop_limit) == (Decided("required", Level.IMAGE), Decided(1, Level.ACCOUNT))
    assert found.starves_containers


def test_case_25_an_account_default_of_optional_wins_over_an_ami_with_v2():
    found = resolve(LaunchOptions(), DefaultsFact(http_tokens="optional"), IMAGES["v2.0"])

    assert found.tokens == Decided("optional", Level.ACCOUNT)


def test_case_17_an_explicit_optional_fails_under_a_default_of_required_that_is_enforced():
    defaults = DefaultsFact(http_tokens="required", http_tokens_enforced="enabled")

    assert resolve(LaunchOptions(http_tokens="optional"), defaults, None).answer_now == LaunchAnswer.FAILS


def test_case_27_a_template_without_options_is_resolved_by_what_stands_below_it():
    silent = LaunchOptions()

    answers = [
        resolve(silent, DefaultsFact(http_tokens="required"), IMAGES["null"]).answer_now,
        resolve(silent, DefaultsFact(), IMAGES["v2.0"]).answer_now,
        resolve(silent, DefaultsFact(), IMAGES["null"]).answer_now,
    ]

    assert answers == [LaunchAnswer.SAFE, LaunchAnswer.SAFE, LaunchAnswer.V1_ALLOWED]


def test_case_18_no_key_of_the_defaults_is_no_preference_and_not_optional():
    found = resolve(LaunchOptions(), DefaultsFact(), IMAGES["v2.0"])

    assert found.tokens == Decided("required", Level.IMAGE)
    assert found.enforced is False


@pytest.mark.parametrize(
    ("tokens", "enforced", "now", "as_if"),
    [
        ("optional", None, LaunchAnswer.SAFE, LaunchAnswer.FAILS),
        ("optional", "enabled", LaunchAnswer.FAILS, LaunchAnswer.FAILS),
        ("required", None, LaunchAnswer.SAFE, LaunchAnswer.SAFE),
        ("required", "enabled", LaunchAnswer.SAFE, LaunchAnswer.SAFE),
    ],
)
def test_a_launch_without_an_endpoint_is_safe_and_still_owes_the_tokens_under_enforcement(tokens, enforced, now, as_if):
    launch = LaunchOptions(http_tokens=tokens, http_endpoint="disabled")

    found = resolve(launch, DefaultsFact(http_tokens_enforced=enforced), None)

    assert (found.answer_now, found.answer_enforced, found.imds_off) == (now, as_if, True)


def test_a_version_that_is_not_read_leaves_everything_unknown():
    found = resolve(None, DefaultsFact(http_tokens="required"), IMAGES["v2.0"])

    assert {found.tokens, found.hop_limit, found.endpoint, found.ipv6, found.tags} == {Decided(None, Level.LAUNCH)}
    assert (found.answer_now, found.answer_enforced) == (LaunchAnswer.UNKNOWN, LaunchAnswer.UNKNOWN)


def test_a_source_is_as_bad_as_the_worst_of_its_launches():
    assert worst([LaunchAnswer.SAFE, LaunchAnswer.UNKNOWN]) == LaunchAnswer.UNKNOWN
    assert worst([LaunchAnswer.SAFE, LaunchAnswer.V1_ALLOWED, LaunchAnswer.UNKNOWN]) == LaunchAnswer.V1_ALLOWED
    assert worst(WORST) == LaunchAnswer.FAILS
    assert worst([]) == LaunchAnswer.UNKNOWN


# --- what holds for all of them ----------------------------------------------------------------------------

TOKENS_STATED = st.sampled_from([None, "optional", "required"])
SWITCH = st.sampled_from([None, "enabled", "disabled"])
HOP = st.sampled_from([None, 1, 2, 64])
LAUNCHES = st.builds(
    LaunchOptions,
    http_tokens=TOKENS_STATED,
    http_put_response_hop_limit=HOP,
    http_endpoint=SWITCH,
    http_protocol_ipv6=SWITCH,
    instance_metadata_tags=SWITCH,
)
DEFAULTS = st.builds(
    DefaultsFact,
    http_tokens=TOKENS_STATED,
    http_put_response_hop_limit=HOP,
    http_endpoint=SWITCH,
    instance_metadata_tags=SWITCH,
    http_tokens_enforced=SWITCH,
)
ANY_IMAGE = st.none() | st.sampled_from(list(IMAGES.values()))
OPTIONS = {
    "tokens": "http_tokens",
    "hop_limit": "http_put_response_hop_limit",
    "endpoint": "http_endpoint",
    "ipv6": "http_protocol_ipv6",
    "tags": "instance_metadata_tags",
}


@given(LAUNCHES, DEFAULTS, ANY_IMAGE)
def test_knowing_less_never_makes_a_launch_safe(launch, defaults, image):
    known = resolve(launch, defaults, image)

    for less in (resolve(None, defaults, image), resolve(launch, None, image), resolve(launch, defaults, None)):
        assert less.answer_now in {known.answer_now, LaunchAnswer.UNKNOWN}
        assert less.answer_enforced in {known.answer_enforced, LaunchAnswer.UNKNOWN}


@given(LAUNCHES, DEFAULTS, ANY_IMAGE)
def test_enforcement_leaves_what_has_an_endpoint_and_is_safe_as_it_is(launch, defaults, image):
    off, on = (resolve(launch, replace(defaults, http_tokens_enforced=word), image) for word in (None, "enabled"))

    assert on.answer_now == off.answer_enforced == on.answer_enforced
    if off.answer_now == LaunchAnswer.SAFE and not off.imds_off:
        assert on.answer_now == LaunchAnswer.SAFE


@given(LAUNCHES, DEFAULTS, ANY_IMAGE)
def test_under_enforcement_no_launch_allows_v1(launch, defaults, image):
    assert resolve(launch, defaults, image).answer_enforced != LaunchAnswer.V1_ALLOWED


@given(st.tuples(LAUNCHES, LAUNCHES), st.tuples(DEFAULTS, DEFAULTS), ANY_IMAGE, st.sampled_from(sorted(OPTIONS)))
def test_each_option_is_resolved_on_its_own(launches, accounts, image, option):
    """Whatever is said of the other options, this one comes out the same."""
    (launch, other), (defaults, other_defaults) = launches, accounts
    field = OPTIONS[option]
    mixed = replace(other, **{field: getattr(launch, field)})
    mixed_defaults = defaults
    if field != "http_protocol_ipv6":
        mixed_defaults = replace(other_defaults, **{field: getattr(defaults, field)})

    assert getattr(resolve(mixed, mixed_defaults, image), option) == getattr(resolve(launch, defaults, image), option)
