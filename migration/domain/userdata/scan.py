"""Each statement judged: no call, a call with a token, one without, or one that cannot be told. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from migration.domain.userdata.decode import Decoded
from migration.domain.userdata.findings import Certainty, Finding, Kind, masked
from migration.domain.userdata.rewrite import rewrite
from migration.domain.userdata.statements import Statement, statements

# 169.254.169.254 in every spelling that a URL takes, its IPv6 twin, and the names that AWS and cloud-init know it by.
HOST = re.compile(
    r"169\.254\.169\.254|\[?fd00:ec2::254\]?|(?<![\w.-])instance-data(?:\.[a-z0-9-]+\.compute\.internal|\.ec2\.internal)?(?=[/:\"'\s]|$)"
    r"|\b2852039166\b|(?i:0xa9\.?(?:0x)?fe\.?(?:0x)?a9\.?(?:0x)?fe)|\b0251\.0376\.0251\.0376\b"
    r"|\[::ffff:(?:169\.254\.169\.254|a9fe:a9fe)\]"
)
PATHS = re.compile(r"/(?:latest|\d{4}-\d\d-\d\d)/(?:meta-data|dynamic|user-data)|meta-data/|instance-identity/document")
TOKEN_URL = re.compile(r"/latest/api/token\b")
DATED_TOKEN = re.compile(r"/\d{4}-\d\d-\d\d/api/token\b")
HEADER = re.compile(r"(?i)x-aws-ec2-metadata-token(?!-ttl)")
EMPTY_HEADER = re.compile(
    r"(?i)x-aws-ec2-metadata-token(?!-ttl)[\"']?\s*(?:[:=]|=>|,)\s*(?:\"\"|''|[\"'](?=\s|$)|\s*[)}])"
)
TTL = re.compile(r"(?i)x-aws-ec2-metadata-token-ttl-seconds")
PUT = re.compile(r"(?i)\bPUT\b|\.put\(|--upload-file|-T\s|::Put\b|setRequestMethod")
# What fetches a URL: command lines, PowerShell, and the libraries of the languages.
CALLING = (
    r"\bcurl(?:\.exe)?\b",
    r"\bwget\b",
    r"\bInvoke-(?:RestMethod|WebRequest)\b",
    r"\birm\b",
    r"\biwr\b",
    r"Net\.WebClient",
    r"Download(?:String|File|Data)",
    r"\brequests?\.(?:get|request|Session)",
    r"\bsession\.get\(",
    r"\burlopen\(",
    r"\burlretrieve\(",
    r"HTTPConnection\(",
    r"\bhttpx\.",
    r"aiohttp",
    r"\burllib3?\.",
    r"\bhttps?\.(?:get|request)\(",
    r"\baxios\b",
    r"\bfetch\(",
    r"\bgot\(",
    r"\bsuperagent\b",
    r"Net::HTTP",
    r"URI\.(?:open|parse|read)",
    r"\bopen-uri\b",
    r"\bopen\([\"']http",
    r"Faraday",
    r"HTTParty",
    r"RestClient",
    r"LWP::",
    r"HTTP::Tiny",
    r"\bget\([\"']http",
    r"\bhttp\.(?:Get|NewRequest\w*|Head)\(",
    r"openConnection\(",
    r"openStream\(",
    r"HttpClient",
    r"HttpRequest",
    r"RestTemplate",
    r"IOUtils\.toString",
    r"new URL\(",
    r"/dev/tcp/169",
    r"\bnc\b",
    r"\bncat\b",
    r"\bnetcat\b",
    r"\btelnet\b",
    r"\bsocat\b",
    r"\bGET\s+http",
    r"\blynx\b",
    r"\bw3m\b",
    r"\baria2c\b",
    r"\bhttpie\b",
    r"\bhttp\s+(?:GET\s+)?(?:http|169)",
    r"\bfile_get_contents\(",
    r"\bcurl_init\(",
    r"\bcertutil\b",
    r"\bbitsadmin\b",
    r"Start-BitsTransfer",
    r"MSXML2",
    r"\bxh\b",
)
CALLERS = re.compile("|".join(CALLING), re.IGNORECASE)
MENTIONS = re.compile(
    r"(?i)^\s*(?:sudo\s+)?(?:iptables|ip6tables|nft|ufw|ip\s+(?:route|rule)|route|firewall-cmd|netsh|New-NetFirewallRule|new-netroute|echo|printf|logger|cat|sed|grep|export\s+\w*no_proxy|"
    r"set\s+\w*no_proxy|\[?-?\s*Environment|ping|arp|ss|netstat|Write-(?:Host|Output))\b"
)
OLD_TOOLS = (
    (
        re.compile(r"(?<![\w/.:-])(?:/usr/bin/|/opt/aws/bin/)?ec2-metadata\b(?!-)"),
        "ec2-metadata speaks IMDSv2 from ec2-utils 1.1 (2020-01): update ec2-utils.",
    ),
    (
        re.compile(r"(?<![\w/.:-])(?:/usr/bin/)?ec2metadata\b"),
        "ec2metadata speaks IMDSv2 from cloud-utils 0.32: update cloud-utils.",
    ),
    (
        re.compile(
            r"\bboto\.utils\.get_instance_(?:metadata|identity|userdata)\b|\bfrom boto\.utils import get_instance"
        ),
        "boto 2 has no token code at all: use boto3, or ask with a token.",
    ),
)
PINNED = re.compile(r"\b(boto3|botocore|awscli|aws-sdk|boto)\s*(?:==|@|~=)\s*[\"']?v?(\d+(?:\.\d+)*)")
NEEDED = {"boto3": (1, 12, 6), "botocore": (1, 13, 25), "awscli": (1, 16, 289), "aws-sdk": (2, 722, 0), "boto": (99,)}
PIPED = re.compile(
    r"^\s*(?:sudo\s+)?(?:ba|z|da|k)?sh\b(?:\s+-[\w]+)*(?:\s+-)?\s*$|^\s*(?:iex|Invoke-Expression)\b|^\s*xargs\b.*\b(?:curl|wget)\b"
)
ASSIGN = re.compile(
    r"^\s*(?:export\s+|readonly\s+|local\s+|declare\s+(?:-\w+\s+)?|const\s+|let\s+|var\s+|final\s+|private\s+|static\s+|String\s+|string\s+|set\s+|my\s+)*"
    r"\$?(?:env:)?([A-Za-z_][\w]*)\s*(?::\w+\s*)?(?::=|=>?|=)\s*(?!=)(.+)$",
    re.DOTALL,
)
OBJECT = re.compile(
    r"^\s*(?:const\s+|let\s+|var\s+|final\s+|\w[\w<>]*\s+)?\$?([A-Za-z_]\w*)\s*(?:,\s*\w+\s*)?(?::=|=)\s"
)
# Headers that are not spelt out: -H "$HDR", -Headers $h, headers=h.
HEADERS_HELD = re.compile(
    r"(?:^|\s)(?:-H|--header|(?i:-Headers))[ =]?\s*[\"']?[$@]?\{?\(?[\w.$]+|\b(?i:headers)\s*[=:]\s*[$@]?[\w.]+"
)
SHELL_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)(?::?-([^}]*))?\}?")
WORD = re.compile(r"(?<![\w.\"'/$-])([A-Za-z_]\w*)(?![\w(:/-])")
TOLD_SESSION = re.compile(r"^\s*(\w+)\.headers\b")
SENDS = re.compile(r"\b(\w+)\.(?:get|request|send)\(")
NO_PROXY = re.compile(r"(?i)\s*(?:export\s+|set\s+)?\w*no_proxy\w*\s*=|\s*--?noproxy")
OPTIONS_HELD = re.compile(r"(?i)(?:-K|--config)\s*\S|@\w+\.(?:conf|txt)")
LOOK_AHEAD = 14


class Verdict(StrEnum):
    NOTHING = "nothing"
    MENTION = "mention"
    V2 = "v2"
    V1 = "v1"
    BAD_V2 = "bad_v2"
    OLD_TOOL = "old_tool"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Judged:
    statement: Statement
    verdict: Verdict
    advice: str = ""


def scan(decoded: Decoded) -> list[Finding]:
    """Everything that calls IMDSv1 or may, part by part, in order."""
    found = [
        Finding(Kind.UNSEEN, Certainty.UNCERTAIN, 0, 0, "", "", f"{problem} Look at it by hand.")
        for problem in decoded.problems
    ]
    for number, part in enumerate(decoded.parts, 1):
        for judged in judge_text(part.text, part.language):
            finding = _finding(judged, number, part.line)
            if finding is not None:
                found.append(finding)
    return found


def scan_text(text: str, language: str = "shell") -> list[Finding]:
    """One text in one language."""
    return [finding for judged in judge_text(text, language) if (finding := _finding(judged, 1, 0)) is not None]


def judge_text(text: str, language: str) -> Iterator[Judged]:
    """A verdict on every statement. Variables are followed from where they are set to where they are used."""
    known: dict[str, str] = {}
    rows = list(statements(text, language))
    for place, one in enumerate(rows):
        following = rows[place + 1 : place + 1 + LOOK_AHEAD]
        yield _judge(one, known, rows[place - 1] if place else None, following)
        _learn(one, known)


def _learn(one: Statement, known: dict[str, str]) -> None:
    found = ASSIGN.match(one.text)
    if found and len(known) < 500:  # noqa: PLR2004
        name, value = found[1], _resolved(found[2].strip().strip(";"), one.language, known)
        known[name] = value[:2000]
    told = TOLD_SESSION.match(one.text)
    if told and HEADER.search(one.text):
        known[f"{told[1]}.headers"] = one.text[:300]


def _resolved(text: str, language: str, known: dict[str, str]) -> str:
    """The text with what its variables hold put in place of them, and of those that stand bare, put after it."""

    def value(found: re.Match[str]) -> str:
        held = known.get(found[1], found[2] if found[2] is not None else found[0])
        return held.strip("\"'")

    out = SHELL_VARIABLE.sub(value, text)
    if language not in {"shell", "batch"}:
        held = [
            known[name] for name in dict.fromkeys(WORD.findall(text) + re.findall(r"\{(\w+)\}", text)) if name in known
        ]
        held += [known[f"{name}.headers"] for name in SENDS.findall(text) if f"{name}.headers" in known]
        out = " ".join([out, *held])
    return out[:8000]


def _judge(one: Statement, known: dict[str, str], before: Statement | None, after: list[Statement]) -> Judged:
    text = _resolved(one.text, one.language, known)
    calls = bool(CALLERS.search(one.text))
    if HOST.search(text) or (calls and DATED_TOKEN.search(text)):
        return Judged(one, *_with_host(one, text, calls=calls, after=after))
    tool = _old_tool(one.text)
    if tool:
        return Judged(one, Verdict.OLD_TOOL, tool)
    if calls and not HEADER.search(text) and not TTL.search(text) and PATHS.search(text):
        return Judged(one, Verdict.UNCERTAIN, "Its address is in a variable that is not set here.")
    if calls and HEADER.search(text):
        return Judged(one, Verdict.V2)
    if PIPED.search(one.text) and before is not None and before.line >= one.line - 1 and _feeds(before, known):
        return Judged(one, Verdict.UNCERTAIN, "It runs what another command prints; what that does was not seen.")
    if re.match(r"\s*eval\b", one.text) and re.search(r"\$", one.text) and PATHS.search(text):
        return Judged(one, Verdict.UNCERTAIN, "It runs text that is put together elsewhere.")
    return Judged(one, Verdict.NOTHING)


def _feeds(before: Statement, known: dict[str, str]) -> bool:
    text = _resolved(before.text, before.language, known)
    return bool(re.match(r"(?i)\s*(?:sudo\s+)?(?:curl|wget|iwr|irm)\b", before.text)) or bool(HOST.search(text))


def _old_tool(text: str) -> str:
    for pattern, advice in OLD_TOOLS:
        if pattern.search(text) and not re.match(r"\s*(?:yum|dnf|apt|apt-get|zypper|rpm|pip)\b", text):
            return advice
    pinned = PINNED.search(text)
    if pinned and tuple(int(piece) for piece in pinned[2].split(".")) < NEEDED[pinned[1]]:
        need = ".".join(map(str, NEEDED[pinned[1]]))
        why = "has no IMDSv2 at all" if pinned[1] == "boto" else f"speaks IMDSv2 from {need}"
        return f"{pinned[1]} {pinned[2]} is pinned, and {pinned[1]} {why}: upgrade it."
    return ""


def _with_host(one: Statement, text: str, *, calls: bool, after: list[Statement]) -> tuple[Verdict, str]:
    """A statement in which IMDS's address stands, or a variable that holds it."""
    if not calls or _only_names_it(one.text):
        return Verdict.MENTION, ""
    if DATED_TOKEN.search(text):
        return Verdict.BAD_V2, "A token is given only at /latest/api/token; a dated path is answered 403."
    if TOKEN_URL.search(text):
        return _token(one, text, after)
    if EMPTY_HEADER.search(text):
        return Verdict.BAD_V2, "The token is empty, so AWS answers 401; it does not fall back to IMDSv1."
    if HEADER.search(text) or _told_later(one, after, HEADER):
        return Verdict.V2, ""
    if HEADERS_HELD.search(one.text) and not _literal_header(one.text):
        return Verdict.UNCERTAIN, "Its headers are in a variable that is not set here."
    if OPTIONS_HELD.search(one.text):
        return Verdict.UNCERTAIN, "Its options are in a file that was not seen."
    return Verdict.V1, ""


def _only_names_it(text: str) -> bool:
    """Firewalls, routes, proxies and messages name the address and do not call it."""
    if NO_PROXY.match(text):
        return True
    return bool(MENTIONS.match(text)) and not re.search(r"(?i)\bcurl\b|\bwget\b|/dev/tcp", text)


def _token(one: Statement, text: str, after: list[Statement]) -> tuple[Verdict, str]:
    """A call of the token's address. It is given for a PUT; a GET is answered 405."""
    asks = PUT.search(text) or TTL.search(text) or _told_later(one, after, TTL) or _told_later(one, after, PUT)
    if asks or HEADER.search(text):
        return Verdict.V2, ""
    return Verdict.BAD_V2, "A token is given for a PUT only; a GET is answered 405."


def _literal_header(text: str) -> bool:
    """Are all its headers spelt out? Then none of them is the token."""
    return bool(
        re.search(r"(?i)(?:-H|--header)[ =]?[\"'][\w-]+:", text)
        or re.search(r"(?i)headers\s*[=:]\s*\{\s*[\"'][\w-]+[\"']\s*:", text)
    )


def _told_later(one: Statement, after: list[Statement], what: re.Pattern[str]) -> bool:
    """Is it set on the object that this statement makes, a few statements on?"""
    if one.language == "batch":
        return False
    found = OBJECT.match(one.text)
    name = found[1] if found else None
    for later in after:
        if what.search(later.text) and (name is None or re.search(rf"\b{re.escape(name)}\b", later.text)):
            return name is not None
        if name is not None and re.match(rf"\s*\$?{re.escape(name)}\s*(?::=|=)\s", later.text):
            return False
    return False


def _finding(judged: Judged, part: int, offset: int) -> Finding | None:
    one = judged.statement
    kinds = {
        Verdict.V1: (Kind.V1_CALL, Certainty.CERTAIN),
        Verdict.BAD_V2: (Kind.BAD_V2, Certainty.CERTAIN),
        Verdict.OLD_TOOL: (Kind.OLD_TOOL, Certainty.UNCERTAIN),
        Verdict.UNCERTAIN: (Kind.UNCLEAR, Certainty.UNCERTAIN),
    }
    if judged.verdict not in kinds:
        return None
    kind, certainty = kinds[judged.verdict]
    advice, can_replace = judged.advice, False
    if judged.verdict is Verdict.V1:
        advice, can_replace = rewrite(one.text, one.language)
    shown = masked(advice) if not can_replace else "\n".join(masked(line) for line in advice.splitlines())
    return Finding(kind, certainty, part, offset + one.line + 1, one.language, masked(one.text), shown, can_replace)
