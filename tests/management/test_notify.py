"""`manage.py notify test`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.receiver import listening


def test_without_a_channel_it_says_which_settings_make_one():
    with pytest.raises(CommandError, match="Nobody is told of anything: set IMDSDASH_MAIL_TO"):
        call_command("notify", "test")


def test_each_channel_is_tried_and_told_and_one_failure_is_exit_1(settings):
    out, err = StringIO(), StringIO()
    with listening() as good, listening() as bad:
        bad.says(403)
        settings.IMDSDASH_SLACK_WEBHOOK_URL = bad.url
        settings.IMDSDASH_WEBHOOK_URL, settings.IMDSDASH_WEBHOOK_SECRET = good.url, "x" * 16

        with pytest.raises(SystemExit) as ended:
            call_command("notify", "test", stdout=out, stderr=err)

    assert (ended.value.code, out.getvalue(), err.getvalue()) == (
        1,
        "Webhook: delivered.\n",
        "Slack: not delivered. Slack answered 403.\n",
    )


def test_when_all_of_them_work_it_ends_well(settings):
    out = StringIO()
    settings.IMDSDASH_MAIL_TO = ["one@example.com"]

    call_command("notify", "test", stdout=out)

    assert out.getvalue() == "Mail: delivered.\n"
