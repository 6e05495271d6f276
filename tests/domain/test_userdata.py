"""User data: each labelled statement as a case, what packing does not change, and what never gets out."""

import base64
import gzip
import re
from collections import Counter
from dataclasses import dataclass
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.domain.userdata import Certainty, Kind, decode, from_base64, scan, scan_text
from migration.domain.userdata.scan import Verdict, judge_text

DATA = Path(__file__).parents[1] / "data" / "userdata"
HEAD = re.compile(r"(?m)^=== (\w+) \| (\w+) \| (.+)$")
# What each label may hold of verdicts; the rest of a sample is clean.
WORST = (Verdict.V1, Verdict.BAD_V2, Verdict.OLD_TOOL, Verdict.UNCERTAIN)


@dataclass(frozen=True)
class Sample:
    language: str
    label: str
    name: str
    code: str


def corpus(name: str) -> list[Sample]:
    pieces = HEAD.split((DATA / name).read_text())[1:]
    return [
        Sample(language, label, name, code.strip("\n"))
        for language, label, name, code in zip(*[iter(pieces)] * 4, strict=True)
    ]


def verdict(sample: Sample) -> str:
    """The worst that is said of any statement of it."""
    found = {judged.verdict for judged in judge_text(sample.code, sample.language)}
    return next((one.value for one in WORST if one in found), "clean")


SAMPLES = corpus("corpus.txt")
HELD_OUT = corpus("held_out.txt") if (DATA / "held_out.txt").exists() else []
# Labelled right, and not told right: what is known to be missed, and why.
MISSED: dict[str, str] = {}


def told(samples: list[Sample]) -> dict[str, float | int]:
    """Precision and recall of "calls IMDSv1" being said for certain; the uncertain are counted by themselves."""
    said = [(one.label == "v1", verdict(one)) for one in samples]
    hit = sum(truth and word == "v1" for truth, word in said)
    return {
        "samples": len(samples),
        "precision": hit / max(1, sum(word == "v1" for _, word in said)),
        "recall": hit / max(1, sum(truth for truth, _ in said)),
        "uncertain": sum(word == "uncertain" for _, word in said),
        "as labelled": sum(one.label == word for one, (_, word) in zip(samples, said, strict=True)),
    }


@pytest.mark.parametrize("sample", [*SAMPLES, *HELD_OUT], ids=lambda one: f"{one.language}: {one.name}")
def test_each_sample_is_told_as_it_is_labelled(sample):
    assert (verdict(sample) == sample.label) == (sample.name not in MISSED)


def test_precision_and_recall_are_what_the_readme_says():
    assert told(SAMPLES) == {"samples": 137, "precision": 1.0, "recall": 1.0, "uncertain": 8, "as labelled": 137}


def test_the_corpus_covers_every_language_and_kind_of_call():
    languages = Counter(one.language for one in SAMPLES)

    assert len(SAMPLES) >= 120
    assert {"shell", "powershell", "batch", "python", "javascript", "ruby", "perl", "php", "go", "java"} == set(
        languages
    )


# --- packing -------------------------------------------------------------------------------------------

V1 = "#!/bin/bash\nID=$(curl -s http://169.254.169.254/latest/meta-data/instance-id)\n"


def mime(text: str, *, kind: str = "x-shellscript") -> bytes:
    whole = MIMEMultipart()
    whole.attach(MIMEText("#cloud-config\npackages: [jq]\n", "cloud-config"))
    whole.attach(MIMEText(text, kind))
    return whole.as_bytes()


PACKINGS = {
    "plain": lambda text: text.encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "MIME": mime,
    "gzip of MIME": lambda text: gzip.compress(mime(text)),
    "MIME with base64 inside": lambda text: mime(text + "# ünicode\n"),
    "with Windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
def test_packing_changes_no_finding(pack):
    found = scan(from_base64(base64.b64encode(pack(V1)).decode()))

    assert [(one.kind, one.line, one.certainty) for one in found] == [(Kind.V1_CALL, 2, Certainty.CERTAIN)]


def test_windows_scripts_are_read_by_their_tags_with_their_lines():
    text = "<script>\nrem nothing\n</script>\n<powershell>\n\nirm http://169.254.169.254/latest/meta-data/\n</powershell>\n<persist>true</persist>"
    (found,) = scan(decode(text.encode()))

    assert (found.language, found.part, found.line) == ("powershell", 2, 6)


def test_a_file_that_a_cloud_config_writes_in_base64_is_read_too():
    inner = base64.b64encode(gzip.compress(V1.encode(), mtime=0)).decode()
    found = scan(
        decode(f"#cloud-config\nwrite_files:\n- encoding: gz+b64\n  content: {inner}\n  path: /a.sh\n".encode())
    )

    assert [one.kind for one in found] == [Kind.V1_CALL]


def test_ec2launch_tasks_are_read_as_powershell():
    text = "version: 1.1\ntasks:\n- task: executeScript\n  inputs:\n  - type: powershell\n    content: |-\n      irm http://169.254.169.254/latest/meta-data/instance-id\n"

    assert [one.kind for one in scan(decode(text.encode()))] == [Kind.V1_CALL]


def nested(times: int) -> bytes:
    raw = V1.encode()
    for _ in range(times):
        raw = gzip.compress(raw)
    return raw


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("not base64 at all!", "not base64"),
        (base64.b64encode(gzip.compress(V1.encode(), mtime=0)[:20]).decode(), "gzip"),
        (base64.b64encode(gzip.compress(b"\n" * (3 << 20), mtime=0)).decode(), "over a megabyte"),
        (base64.b64encode(nested(7)).decode(), "more than four times"),
        (base64.b64encode(bytes(range(256)) * 8).decode(), "binary"),
        (base64.b64encode(b"#include\nhttps://example.com/more\n").decode(), "were not seen"),
    ],
    # gzip writes the time into its header; in a test's name it would make two workers collect different tests.
    ids=["no base64", "gzip cut off", "over a megabyte", "packed seven times", "binary", "an include"],
)
def test_what_cannot_be_looked_into_is_uncertain_and_never_clean(value, words):
    (found,) = scan(from_base64(value))

    assert (found.kind, found.certainty) == (Kind.UNSEEN, Certainty.UNCERTAIN)
    assert words in found.advice


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=400))
def test_no_bytes_make_it_raise(raw):
    scan(decode(raw))
    scan(from_base64(base64.b64encode(raw).decode()))


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(alphabet="curl http://169.254.169.254/\\\"'`$(){}|&;\n#<END", max_size=200),
    language=st.sampled_from(["shell", "python", "powershell", "batch", "javascript", "go"]),
)
def test_no_quoting_makes_it_raise(text, language):
    scan_text(text, language)


# --- rewrites ------------------------------------------------------------------------------------------

REWRITABLE = [one for one in SAMPLES if one.label == "v1" and scan_text(one.code, one.language)[-1].is_rewrite]


def test_most_calls_have_a_rewrite():
    assert len(REWRITABLE) >= 45


@pytest.mark.parametrize("sample", REWRITABLE, ids=lambda one: f"{one.language}: {one.name}")
def test_a_rewrite_calls_with_a_token(sample):
    finding = next(one for one in scan_text(sample.code, sample.language) if one.kind is Kind.V1_CALL)
    language = sample.language if "curl" not in finding.advice.splitlines()[0] else "shell"

    assert "X-aws-ec2-metadata-token-ttl-seconds" in finding.advice
    assert [one for one in scan_text(finding.advice, language) if one.kind is Kind.V1_CALL] == []


def test_a_rewrite_keeps_flags_and_plumbing():
    (found,) = scan_text("curl --retry 5 -s http://169.254.169.254/latest/meta-data/mac | tee /etc/mac")

    assert found.advice.splitlines()[1] == (
        'curl -H "X-aws-ec2-metadata-token: $TOKEN" --retry 5 -s http://169.254.169.254/latest/meta-data/mac'
    )


# --- secrets -------------------------------------------------------------------------------------------

SECRETS = ("AKIAIOSFODNN7EXAMPLE", "hunter2hunter2", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "s3cr3tPassw0rd")


@pytest.mark.parametrize(
    "line",
    [
        "PASSWORD=hunter2hunter2 curl -s http://169.254.169.254/latest/meta-data/",
        "curl -s -u admin:hunter2hunter2 http://169.254.169.254/latest/meta-data/",
        "curl -s http://admin:s3cr3tPassw0rd@169.254.169.254/latest/meta-data/",
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE curl http://169.254.169.254/latest/meta-data/",
        "curl -H 'Authorization: Bearer wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY' http://169.254.169.254/latest/meta-data/",
        'curl -d "{\\"password\\": \\"s3cr3tPassw0rd\\"}" http://169.254.169.254/latest/meta-data/',
        "DB_PASSWORD='s3cr3tPassw0rd' API_TOKEN=hunter2hunter2 wget http://169.254.169.254/latest/user-data",
    ],
)
def test_no_secret_of_a_statement_gets_into_a_finding(line):
    (found,) = scan_text(line)

    assert not [secret for secret in SECRETS if secret in repr(found)]
    assert "169.254.169.254/latest" in found.statement or "•••" in found.statement
