"""Labels within sentences."""

import pytest

from migration.domain.words import inner


@pytest.mark.parametrize(
    ("label", "within"),
    [
        ("Not ready", "not ready"),
        ("IMDS off", "IMDS off"),
        ("AMIs", "AMIs"),
        ("IMDSv1 allowed", "IMDSv1 allowed"),
        ("", ""),
    ],
)
def test_a_label_within_a_sentence_begins_small_unless_it_is_an_acronym(label, within):
    assert inner(label) == within
