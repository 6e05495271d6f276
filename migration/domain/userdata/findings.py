"""A finding: one statement, masked, with what it does and what to write instead."""

import re
from dataclasses import dataclass
from enum import StrEnum

LENGTH = 300


class Kind(StrEnum):
    V1_CALL = "v1_call"  # reads IMDS without a token
    BAD_V2 = "bad_v2"  # means IMDSv2, and AWS refuses it
    OLD_TOOL = "old_tool"  # a tool or SDK whose older versions know only IMDSv1
    UNSEEN = "unseen"  # text that could not be looked into
    UNCLEAR = "unclear"  # a call whose address or header is not known here


class Certainty(StrEnum):
    CERTAIN = "certain"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` counts from 1 in the part. Nothing of the user data is kept but this statement, its secrets masked."""

    kind: Kind
    certainty: Certainty
    part: int
    line: int
    language: str
    statement: str
    advice: str  # the rewrite, or what to do
    is_rewrite: bool = False  # `advice` can be put in place of the statement


MASK = "•••"
SECRETS = (
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(
        r"(?i)((?:pass(?:word|wd)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)\w*\\?[\"']?\s*[:=]\s*)"
        r"(?!\s*[\"']?\$)(?:\\?\"[^\"]*\"|'[^']*'|[^\s\"'&;|)]+)"
    ),
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{6,}"),
    re.compile(r"((?:^|\s)(?:-u|--user|--password|-p)[ =]?)(?!\s*\"?\$)(?:\"[^\"]+\"|'[^']+'|[^\s\"']+:[^\s\"']+)"),
    re.compile(r"\b(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{28,}={0,2}"),
)
HARMLESS = re.compile(
    r"(?i)x-aws-ec2-metadata-token(?:-ttl-seconds)?|latest/(?:meta-data|dynamic|api)[\w/.-]*|https?://169\.\S*"
)


def masked(statement: str) -> str:
    """The statement without what looks like a secret, on one line, cut."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\x00{len(kept) - 1}\x00"

    text = HARMLESS.sub(keep, " ".join(statement.replace("\x00", "").split()))
    for pattern in SECRETS:
        text = pattern.sub(lambda found: (found[1] if found.re.groups else "") + MASK, text)
    text = re.sub(r"\x00(\d+)\x00", lambda found: kept[int(found[1])], text)
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"
