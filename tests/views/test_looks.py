"""How numbers and moments are written."""

from datetime import timedelta

import pytest
from django.template import Context

from migration.enums import ChangeState, Outcome, PolicyState, RequestState, RoleState, RunState, Status, WaveState
from migration.templatetags import imds
from tests.factories import NOW


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "\u2013"),
        (0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.5, "50 %"),
        (0.527, "52.7 %"),
        (0.9996, "99.9 %"),
        (0.29, "29 %"),
        (1, "100 %"),
    ],
)
def test_a_percentage_is_cut_never_rounded_up(share, words):
    assert imds.percent(share) == words


@pytest.mark.parametrize(("value", "words"), [(None, "\u2013"), (0, "0"), (1234567, "1,234,567")])
def test_an_unknown_number_is_a_dash(value, words):
    assert imds.num(value) == words


@pytest.mark.parametrize(("value", "words"), [(None, "not measured"), (0, "0"), (1200, "1,200")])
def test_an_unmeasured_count_says_so(value, words):
    assert imds.measured(value) == words


@pytest.mark.parametrize(("share", "words"), [(None, "\u2013"), (-0.25, "\u221225 %"), (0.1, "+10 %")])
def test_a_change_carries_its_sign(share, words):
    assert imds.change(share) == words


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=12), "12 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=9), "9 d ago"),
        (timedelta(hours=-50), "in 2 d"),
        (timedelta(seconds=-20), "in a moment"),
    ],
)
def test_a_moment_is_written_in_words_with_itself_behind(before, words):
    moment = NOW - before

    shown = imds.ago(Context({"now": NOW}), moment)

    assert shown == (
        f'<time datetime="{moment.isoformat(timespec="seconds")}" title="{moment:%Y-%m-%d %H:%M} UTC">{words}</time>'
    )


def test_a_moment_that_never_was():
    assert (imds.ago(Context({"now": NOW}), None), imds.moment(None)) == ("never", "\u2013")


def test_every_status_and_state_has_an_icon():
    assert set(imds.ICONS) == set(Status)
    for table in (RequestState, RunState, ChangeState, Outcome, RoleState, PolicyState, WaveState):
        assert set(imds.STATES[table]) == set(table)


def test_a_status_we_do_not_know_is_shown_as_it_is():
    assert imds.status("brand_new") == {"tone": "unknown", "icon": "question-circle-fill", "label": "brand_new"}
