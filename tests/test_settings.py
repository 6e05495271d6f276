"""A setting that cannot be used stops the start with one sentence, which never repeats a secret."""

import os
import subprocess
import sys

import pytest

from tests.test_repository import ROOT


def start(tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", "import imdsdash.settings as s; print(s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_USE_TLS)"],
        cwd=ROOT,
        env=kept | {"IMDSDASH_DATA_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_mail_server_is_read_from_one_address(tmp_path):
    done = start(tmp_path, EMAIL_URL="smtp+tls://me:pa%40ss@mail.example.com", IMDSDASH_MAIL_TO="a@example.com")

    assert (done.returncode, done.stdout) == (0, "mail.example.com 587 True\n")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"IMDSDASH_MAIL_TO": "a@example.com"}, "EMAIL_URL is not set, and IMDSDASH_MAIL_TO wants mail sent"),
        ({"IMDSDASH_MAIL_TO": "a b"}, "IMDSDASH_MAIL_TO holds 'a b', which does not look like platform@example.com."),
        ({"EMAIL_URL": "bogus://hunter2"}, "EMAIL_URL cannot be read as the address of a mail server"),
        ({"EMAIL_URL": "smtp://"}, "EMAIL_URL names no mail server"),
        (
            {"IMDSDASH_SLACK_WEBHOOK_URL": "ftp://hooks.example.com/hunter2"},
            "IMDSDASH_SLACK_WEBHOOK_URL is set to something that does not look like https://hooks.slack.com/",
        ),
        (
            {"IMDSDASH_WEBHOOK_URL": "https://hooks.example.com/hunter2"},
            "IMDSDASH_WEBHOOK_SECRET is not set, so nobody could tell our messages from forged ones",
        ),
        (
            {"IMDSDASH_WEBHOOK_URL": "https://h.example.com/x", "IMDSDASH_WEBHOOK_SECRET": "hunter2"},
            "IMDSDASH_WEBHOOK_SECRET is set to something that does not look like a random text",
        ),
        ({"IMDSDASH_PUBLIC_URL": "dash.example.com"}, "IMDSDASH_PUBLIC_URL is 'dash.example.com', which does not"),
    ],
)
def test_a_way_out_that_cannot_work_is_refused_at_the_start(tmp_path, environment, sentence):
    done = start(tmp_path, **environment)

    assert done.returncode == 1
    assert done.stderr.startswith(f"imdsdash: {sentence}")
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("place", ["missing/anchors.jsonl", "."])
def test_a_file_for_anchors_that_cannot_be_written_is_refused_at_the_start(tmp_path, place):
    done = start(tmp_path, IMDSDASH_AUDIT_ANCHOR_FILE=str(tmp_path / place))

    assert done.returncode == 1
    assert done.stderr.startswith(f"imdsdash: IMDSDASH_AUDIT_ANCHOR_FILE is {tmp_path / place}, which is not a file")
