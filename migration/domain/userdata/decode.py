"""Base64, gzip and MIME off, and into parts that know their language. What cannot be decoded is said, never skipped."""

import base64
import binascii
import re
import zlib
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message

LIMIT = 1 << 20  # bytes after gunzipping; EC2 takes 16 KB of user data
DEPTH = 4
GZIP = b"\x1f\x8b"
MIME = re.compile(rb"\A(?:[A-Za-z-]+:[^\n]*\n)*?(?:Content-Type:\s*multipart/|MIME-Version:)", re.IGNORECASE)
WINDOWS = re.compile(r"<(powershell|script)>(.*?)(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
BLOB = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/=])")
PRINTABLE = 0.9  # of a blob that is text

SHEBANGS = (
    (re.compile(r"python"), "python"),
    (re.compile(r"ruby"), "ruby"),
    (re.compile(r"node"), "javascript"),
    (re.compile(r"perl"), "perl"),
    (re.compile(r"php"), "php"),
    (re.compile(r"pwsh|powershell"), "powershell"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of text: what it is, its language, and on which line of the whole it begins (from 0)."""

    text: str
    kind: str  # script, cloud-config, include, boothook, powershell, batch, ec2launch, toml, text
    language: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """The parts, and in words what could not be looked into."""

    parts: tuple[Part, ...] = ()
    problems: tuple[str, ...] = field(default=())


def from_base64(value: str) -> Decoded:
    """User data as EC2's API gives it."""
    try:
        raw = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return Decoded(problems=("It is not base64.",))
    return decode(raw)


def decode(raw: bytes, *, depth: int = 0) -> Decoded:
    """Unpack as cloud-init and the Windows agents would. Never raises; a bomb is cut off and said."""
    if not raw.strip():
        return Decoded()
    if depth > DEPTH:
        return Decoded(problems=("It is packed more than four times.",))
    if raw.startswith(GZIP):
        return _gunzip(raw, depth)
    if MIME.match(raw):
        return _multipart(message_from_bytes(raw), depth)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        if sum(letter.isprintable() or letter.isspace() for letter in text) < PRINTABLE * len(text):
            return Decoded(problems=("It is binary, so it could not be read.",))
    return _parts(text.replace("\r\n", "\n").replace("\r", "\n"), depth)


def _gunzip(raw: bytes, depth: int) -> Decoded:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(raw, LIMIT)
    except zlib.error:
        return Decoded(problems=("It is damaged gzip.",))
    if unpacker.unconsumed_tail:
        return Decoded(problems=("It grows over a megabyte when unpacked, so it was not read.",))
    if not unpacker.eof:
        return Decoded(problems=("It is gzip that is cut off.",))
    return decode(unpacked, depth=depth + 1)


def _multipart(message: Message, depth: int) -> Decoded:
    parts: list[Part] = []
    problems: list[str] = []
    for one in message.walk():
        if one.is_multipart():
            continue
        payload = one.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        found = decode(payload, depth=depth + 1)
        parts += found.parts
        problems += found.problems
    if not parts and not problems:
        problems.append("It says it is MIME, and no part of it could be read.")
    return Decoded(tuple(parts), tuple(problems))


def _parts(text: str, depth: int) -> Decoded:
    if not text.strip():
        return Decoded()
    windows = list(WINDOWS.finditer(text))
    if windows:
        return Decoded(
            tuple(
                Part(
                    found[2],
                    "powershell" if found[1].lower() == "powershell" else "batch",
                    found[1].lower().replace("script", "batch"),
                    text.count("\n", 0, found.start(2)),
                )
                for found in windows
            )
        )
    first = text.lstrip().splitlines()[0].strip()
    if first.startswith("#include"):
        return Decoded(
            (Part(text, "include", "text"),), ("It includes files from elsewhere (#include), which were not seen.",)
        )
    kind, language = _kind(first, text)
    hidden, problems = _hidden(text, depth) if kind in {"cloud-config", "ec2launch"} else ((), ())
    return Decoded((Part(text, kind, language), *hidden), problems)


def _kind(first: str, text: str) -> tuple[str, str]:
    """By the first line, as cloud-init tells kinds apart (cloud-init documentation, user data formats)."""
    if first.startswith("#!"):
        return "script", next((name for pattern, name in SHEBANGS if pattern.search(first)), "shell")
    if first.startswith("#cloud-config"):
        return "cloud-config", "shell"
    if first.startswith("#cloud-boothook"):
        return "boothook", "shell"
    if re.search(r"(?m)^tasks:\s*$", text) and re.search(r"(?m)^version:\s*1", text):
        return "ec2launch", "powershell"
    if first.startswith("{") or re.match(r"\[[\w.\"-]+\]$", first):
        return "toml", "text"
    return "text", "shell"


def _hidden(text: str, depth: int) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Files that a cloud-config writes may be base64 themselves, and gzip under it."""
    parts: list[Part] = []
    for found in BLOB.finditer(text):
        try:
            raw = base64.b64decode(found[0], validate=True)
        except (binascii.Error, ValueError):
            continue
        inner = decode(raw, depth=depth + 1)
        line = text.count("\n", 0, found.start())
        parts += [Part(one.text, one.kind, one.language, line) for one in inner.parts]
    return tuple(parts), ()
