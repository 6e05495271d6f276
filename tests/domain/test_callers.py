"""The catalogue of known callers, and what user agents give away."""

import pytest

from migration.domain.callers import BadEntry, Reading, catalogue, match, parse, version

AGENTS = {
    "aws-cli/1.16.102 Python/2.7.16 Linux/4.14 botocore/1.12.92": ("aws-cli-1", Reading.TOO_OLD),
    "aws-cli/1.16.289 Python/3.6": ("aws-cli-1", Reading.FALLBACK_POSSIBLE),
    "aws-cli/2.15.30 Python/3.11": ("aws-cli-2", Reading.FALLBACK_POSSIBLE),
    "Boto3/1.9.0 Python/3.7 Linux Botocore/1.12.0": ("boto3", Reading.TOO_OLD),
    "Boto3/1.34.0 md/Botocore#1.34.0 ua/2.0": ("boto3", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-java/1.11.600 Linux/4.14 OpenJDK": ("sdk-java-1", Reading.TOO_OLD),
    "aws-sdk-java/2.9.17 Linux": ("sdk-java-2", Reading.TOO_OLD),
    "aws-sdk-java/2.20.0": ("sdk-java-2", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-go/1.25.37 (go1.13; linux; amd64)": ("sdk-go-1", Reading.TOO_OLD),
    "aws-sdk-go/1.44.0": ("sdk-go-1", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-go-v2/1.17.1 os/linux": ("sdk-go-2", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-nodejs/2.600.0 linux/v10": ("sdk-js", Reading.TOO_OLD),
    "aws-sdk-js/3.400.0": ("sdk-js", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-dotnet-coreclr/3.3.100.1": ("sdk-dotnet", Reading.TOO_OLD),
    "AWSPowerShell.Common/4.1.0.0": ("powershell-tools", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-php/3.100.0": ("sdk-php", Reading.TOO_OLD),
    "aws-sdk-ruby3/3.78.0": ("sdk-ruby", Reading.TOO_OLD),
    "aws-sdk-cpp/1.7.228": ("sdk-cpp", Reading.TOO_OLD),
    "aws-sdk-kotlin/1.1.5": ("sdk-kotlin", Reading.FALLBACK_POSSIBLE),
    "aws-sdk-go/1.44 amazon-ssm-agent/3.0.413.0": ("ssm-agent", Reading.FALLS_BACK),
    "amazon-ssm-agent/3.0.412.0": ("ssm-agent", Reading.TOO_OLD),
    "Cloud-Init/19.4": ("cloud-init", Reading.FALLS_BACK),
    "Cloud-Init/23.1": ("cloud-init", Reading.NEW_ENOUGH),
    "boto3/1.9.0 botocore/1.12.0": ("boto3", Reading.TOO_OLD),
    "Boto3/1.34.0 md/Botocore#1.12.0": ("botocore", Reading.TOO_OLD),
    "amazon-ssm-agent/3.2.1041.0": ("ssm-agent", Reading.NEW_ENOUGH),
    "CWAgent/1.247": ("cloudwatch-agent", Reading.TOO_OLD),
    "Amazon ECS Agent - v1.30.0": ("ecs-agent", Reading.TOO_OLD),
    "Boto/2.49.0 Python/2.7": ("boto-2", Reading.V1_ONLY),
}


@pytest.mark.parametrize(("agent", "told"), AGENTS.items())
def test_a_user_agent_gives_caller_and_version_away(agent, told):
    found = {one.caller.id: one.reading for one in match(user_agent=agent)}

    assert found[told[0]] is told[1]


@pytest.mark.parametrize(
    "agent", ["", "curl/7.1", "aws-cli/" + "9" * 5000, "<script>alert(1)</script>", "Boto3/", "\x00" * 50]
)
def test_a_hostile_user_agent_is_only_text(agent):
    for one in match(user_agent=agent):
        assert one.reading in set(Reading)


def test_what_is_worst_stands_first():
    found = match(user_agent="Boto3/1.34.0 Botocore/1.12.0")

    assert [one.caller.id for one in found] == ["botocore", "boto3"]


def test_case_31_a_version_that_is_new_enough_is_not_to_be_upgraded():
    (found,) = match(user_agent="aws-sdk-java/2.20.0")

    assert "falls back to IMDSv1 only where the token does not reach it" in found.words
    assert "raise the hop limit" in found.advice
    assert "Upgrade the AWS SDK" not in found.advice


def test_what_each_version_of_an_agent_does_is_said_as_its_notes_have_it():
    told = {v: match(user_agent=f"amazon-ssm-agent/{v}")[0].words for v in ("3.0.412.0", "3.1.500.0", "3.2.1041.0")}

    assert "older than 3.0.413.0, the first that prefers IMDSv2" in told["3.0.412.0"]
    assert "token first and falls back to IMDSv1; 3.2.1041.0 is the first that does not" in told["3.1.500.0"]
    assert "never asks without a token" in told["3.2.1041.0"]


def test_tags_images_and_texts_give_callers_away_too():
    found = match(
        tags={"aws:elasticmapreduce:job-flow-id": "j-1"},
        image_name="amazon-eks-node-1.31",
        text="x = boto.utils.get_instance_metadata()",
    )

    assert {one.caller.id for one in found} >= {"emr", "eks-nodes", "boto-2"}
    assert {one.by for one in found} == {"tag", "AMI name", "text"}


def test_each_entry_of_the_catalogue_is_whole_and_there_are_enough():
    assert len(catalogue()) >= 40
    for one in catalogue():
        assert one.advice.endswith(".")
        assert one.source.startswith("https://")


def test_the_minimum_versions_are_awss_own_list():
    told = {one.id: one.needs for one in catalogue() if one.kind == "sdk"}

    assert told == {
        "aws-cli-1": "1.16.289",
        "aws-cli-2": "2.0.0",
        "powershell-tools": "4.0.1.0",
        "sdk-dotnet": "3.3.634.1",
        "sdk-cpp": "1.7.229",
        "sdk-go-1": "1.25.38",
        "sdk-go-2": "0.19.0",
        "sdk-java-1": "1.11.678",
        "sdk-java-2": "2.10.21",
        "sdk-js": "2.722.0",
        "sdk-kotlin": "1.1.4",
        "sdk-php": "3.147.7",
        "sdk-ruby": "3.79.0",
        "boto3": "1.12.6",
        "botocore": "1.13.25",
        "boto-2": "",
    }


GOOD = """[[caller]]
id = "x"
name = "X"
kind = "agent"
agents = ['x/([\\d.]+)']
needs = "1.2"
behaviour = "falls back"
advice = "Upgrade X."
source = "https://example.com/x"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('advice = "Upgrade X."\n', "", "lacks advice"),
        ('behaviour = "falls back"', 'behaviour = "odd"', "none of the words"),
        ("https://", "http://", "no https source"),
        ("agents = ['x/([\\d.]+)']\n", "", "recognised by nothing"),
        ("['x/([\\d.]+)']", "['x/(']", "does not compile"),
        ('needs = "1.2"', 'needs = "soon"', "no version"),
        ('needs = "1.2"', 'needs = "1.2"\nonly = "later"', "no version"),
        ('needs = "1.2"', 'needs = "1.2"\nonly = "1.1"', "ends falling back before"),
        ('id = "x"', 'id = "x"\ncolour = "red"', "which nothing reads"),
        ("[[caller]]", "[[caller", "not TOML"),
    ],
)
def test_a_bad_entry_is_refused_in_a_sentence(old, new, words):
    assert parse(GOOD)[0].id == "x"
    with pytest.raises(BadEntry, match=words):
        parse(GOOD.replace(old, new))


def test_the_same_caller_twice_is_refused():
    with pytest.raises(BadEntry, match="there twice"):
        parse(GOOD + GOOD)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("1.9", "1.16"), ("1.16.102", "1.16.289"), ("v1.2", "1.2.1"), ("1.3.2002730", "1.3.2003691"), ("", "0")],
)
def test_versions_compare_number_by_number(lower, higher):
    assert version(lower) < version(higher)
    assert version("1.2.0") == version("1.2")
