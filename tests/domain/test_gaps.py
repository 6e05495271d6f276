"""Which words of AWS say the same, and what is done about each kind of gap."""

import pytest

from migration.domain.gaps import ADVICE, alike
from migration.enums import GapKind


def test_every_kind_of_gap_has_advice():
    assert set(ADVICE) == set(GapKind)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("not authorized on arn:aws:iam::222233334444:role/r", "not authorized on arn:aws:iam::555566667777:role/r"),
        ("DescribeInstances in eu-west-1 got no answer", "DescribeInstances in ap-southeast-2 got no answer"),
        ("in us-gov-west-1", "in cn-north-1"),
        (
            "denied (request id 59dbff89-35bd-4eac-99ed-be587EXAMPLE)",
            "denied (request id 00000000-35bd-4eac-99ed-be587ELPMAXE)",
        ),
        ("3 series incomplete, first: i-0abc1234abc1234de", "41 series incomplete, first: i-0fff1234abc1234de"),
    ],
)
def test_the_same_trouble_elsewhere_is_the_same_words(one, other):
    assert alike(one) == alike(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rate exceeded", "Access denied"),
        ("is not authorized to perform: ec2:DescribeInstances", "is not authorized to perform: sts:AssumeRole"),
        ("", "Rate exceeded"),
    ],
)
def test_other_trouble_is_other_words(one, other):
    assert alike(one) != alike(other)
