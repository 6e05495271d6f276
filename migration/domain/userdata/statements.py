"""Text into statements: lines joined where they go on, parted where a new command begins, comments dropped."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
INTERPRETER = re.compile(r"\b(python[\d.]*|ruby|node|perl|php|pwsh)\b")
LANGUAGES = {
    "python": "python",
    "ruby": "ruby",
    "node": "javascript",
    "perl": "perl",
    "php": "php",
    "pwsh": "powershell",
}
SUFFIXES = {
    "py": "python",
    "rb": "ruby",
    "js": "javascript",
    "pl": "perl",
    "php": "php",
    "ps1": "powershell",
    "go": "go",
    "java": "java",
}
TARGET = re.compile(r">\s*[\"']?[\w./$-]*\.(\w+)")
SLASHES = frozenset({"javascript", "go", "java", "php"})
SHELLS = frozenset({"shell", "batch"})
CLOUD_ITEM = re.compile(r"^\s*-\s*\[(.*)\]\s*$")


LONGEST = 4000  # letters of a statement over several lines


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    line: int  # from 0
    language: str


def statements(text: str, language: str, *, line: int = 0) -> Iterator[Statement]:
    """All statements, those of here-documents and command substitutions by themselves."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        start, whole = at, lines[at]
        at += 1
        while _goes_on(whole, language) and at < len(lines):
            whole, at = _joined(whole, lines[at], language), at + 1
        heredoc = HEREDOC.search(whole) if language == "shell" else None
        if heredoc:
            end = next((n for n in range(at, len(lines)) if lines[n].strip() == heredoc[2]), len(lines))
            body, inner = "\n".join(lines[at:end]), _language_of(whole)
            if inner == "shell" or inner in LANGUAGES.values() or inner in SUFFIXES.values():
                yield from statements(body, inner, line=line + at)
            at = end + 1
        yield from _split(whole, language, line + start)


def _language_of(command: str) -> str:
    """Of a here-document: by what reads it, else by the file it goes to."""
    reader = INTERPRETER.search(command)
    if reader:
        return LANGUAGES[re.sub(r"[\d.]+$", "", reader[1])]
    target = TARGET.search(command)
    return SUFFIXES.get(target[1], "shell") if target else "shell"


def _goes_on(text: str, language: str) -> bool:
    bare = text.rstrip()
    if language in SHELLS:
        return bare.endswith(("\\", "^")) or (language == "shell" and bare.endswith(("|", "&&", "||"))) or _open(bare)
    if language == "powershell":
        return bare.endswith(("`", "|")) or _depth(bare) > 0
    return bare.endswith("\\") or _depth(bare) > 0


def _joined(text: str, more: str, language: str) -> str:
    bare = text.rstrip()
    if bare.endswith(("\\", "`", "^")) and not (bare.endswith("`") and language == "shell"):
        return f"{bare[:-1]} {more.strip()}"
    return f"{bare} {more.strip()}" if language != "shell" or not _open(bare) else f"{bare}\n{more}"


def _open(text: str) -> bool:
    """Does a quotation or a command substitution of the shell stay open at the end of this line?"""
    quote, depth, at = "", 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter == "#" and (at == 0 or text[at - 1].isspace()):
            break
        elif letter in "\"'":
            quote = letter
        elif text.startswith("$(", at):
            depth, at = depth + 1, at + 1
        elif letter == ")" and depth:
            depth -= 1
        at += 1
    return (bool(quote) and text.count("\n") < 40) or depth > 0  # noqa: PLR2004 -- a stray quote ends somewhere


def _depth(text: str) -> int:
    """Brackets that are still open; a line that has grown long is taken for ended."""
    if len(text) > LONGEST:
        return 0
    bare = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", "", text)
    return bare.count("(") + bare.count("[") - bare.count(")") - bare.count("]")


def _split(text: str, language: str, line: int) -> Iterator[Statement]:
    """The commands on one joined line."""
    item = CLOUD_ITEM.match(text)
    if item and language == "shell":  # a runcmd given as a list of words
        text = " ".join(word.strip().strip("\"'") for word in item[1].split(","))
    for piece, offset in _pieces(text, language):
        bare = _uncommented(piece, language).strip()
        if not bare:
            continue
        here = line + text.count("\n", 0, offset)
        if language == "shell":
            outer, inner = _substitutions(bare)
            for one in inner:
                yield from _split(one, language, here)
            bare = outer
        yield Statement(bare, here, language)


def _pieces(text: str, language: str) -> Iterator[tuple[str, int]]:
    """Parted at ; & | and line ends outside quotations and brackets."""
    quote, depth, begin, at = "", 0, 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif (
            letter == "#"
            and language in {"shell", "python", "ruby", "perl", "powershell"}
            and (at == 0 or text[at - 1].isspace())
        ):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth = max(0, depth - 1)
        elif depth == 0 and (letter in ";\n" or (letter in "|&" and language in {"shell", "batch", "powershell"})):
            if letter == "&" and not (text.startswith("&&", at) or text[at + 1 : at + 2] in {" ", ""}):
                at += 1
                continue
            yield text[begin:at], begin
            begin = at + 1
        at += 1
    yield text[begin:], begin


def _uncommented(text: str, language: str) -> str:
    bare = text.strip()
    if language == "batch" and re.match(r"(?i)@?rem\b|::", bare):
        return ""
    if language in SLASHES:
        return re.sub(r"(?<![:\w\"'/])//.*", "", bare)
    if re.match(r"#(?!!)", bare):
        return ""
    return re.sub(r"(?s)(?<=\s)#(?=\s)[^\"'\n]*$", "", bare) if language != "text" else bare


def _substitutions(text: str) -> tuple[str, list[str]]:
    """`$(...)` and backticks out of a command: what is left, and each of them."""
    inner: list[str] = []
    out, at, single = [], 0, False
    while at < len(text):
        letter = text[at]
        if letter == "'":
            single = not single
        if not single and text.startswith("$(", at) and not text.startswith("$((", at):
            end = _closing(text, at + 2)
            inner.append(text[at + 2 : end])
            out.append("$_")
            at = end + 1
            continue
        if not single and letter == "`" and text.find("`", at + 1) > 0:
            end = text.find("`", at + 1)
            inner.append(text[at + 1 : end])
            out.append("$_")
            at = end + 1
            continue
        out.append(letter)
        at += 1
    return "".join(out), inner


def _closing(text: str, at: int) -> int:
    depth, quote = 1, ""
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if not depth:
                return at
        at += 1
    return len(text)
