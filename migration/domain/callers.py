"""Who calls IMDSv1: the catalogue of known callers, and what a user agent, tag, AMI name or text says of them. Pure.

The entries are data, in `known_callers.toml`; one that makes no sense stops the start with a sentence.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("known_callers.toml")
BEHAVIOURS = frozenset(
    {
        "v1 only",
        "v1 only before",
        "falls back",
        "falls back before",
        "v2 only",
        "needs hops",
        "boot",
        "service",
        "unknown",
    }
)
KINDS = frozenset({"sdk", "agent", "boot", "tool", "container", "service"})
WHERE = ("agents", "tags", "images", "texts")
VERSIONS = ("needs", "only")
REQUIRED = ("id", "name", "kind", "behaviour", "advice", "source")
AGENT_LENGTH = 1000  # letters of a user agent that are looked at


class BadEntry(Exception):
    """The catalogue has an entry that cannot be used; the message says which and why."""


class Reading(StrEnum):
    """What is known of a caller's version."""

    TOO_OLD = "too_old"  # knows IMDSv1 only, or prefers it
    FALLS_BACK = "falls_back"  # asks with a token first; a newer version of it never asks without one
    FALLBACK_POSSIBLE = (
        "fallback_possible"  # asks with a token, and without one only if that fails (hop limit, case 31)
    )
    NEW_ENOUGH = "new_enough"  # never asks without a token
    VERSION_UNKNOWN = "version_unknown"
    V1_ONLY = "v1_only"  # whatever its version
    NEEDS_LOOK = "needs_look"  # a service or container host with its own rule


@dataclass(frozen=True, slots=True)
class Caller:
    """One entry of the catalogue. `needs`: the first version that prefers IMDSv2, `only`: the first that no longer
    falls back to IMDSv1; empty: not documented.
    """

    id: str
    name: str
    kind: str
    behaviour: str
    advice: str
    source: str
    needs: str = ""
    only: str = ""
    agents: tuple[re.Pattern[str], ...] = ()
    tags: tuple[re.Pattern[str], ...] = ()
    images: tuple[re.Pattern[str], ...] = ()
    texts: tuple[re.Pattern[str], ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A known caller, recognised. `by`: what gave it away; `version`: as seen, or empty."""

    caller: Caller
    by: str
    version: str
    reading: Reading

    @property
    def words(self) -> str:
        """What is to be said of it in a sentence."""
        name = f"{self.caller.name} {self.version}".strip()
        if self.reading is Reading.TOO_OLD:
            return f"{name} is older than {self.caller.needs}, the first that prefers IMDSv2."
        if self.reading is Reading.V1_ONLY:
            return f"{name} knows only IMDSv1."
        if self.reading is Reading.FALLS_BACK:
            end = f"{self.caller.only} is the first that does not"
            return f"{name} asks with a token first and falls back to IMDSv1; {end}."
        if self.reading is Reading.FALLBACK_POSSIBLE:
            return f"{name} asks with a token, and falls back to IMDSv1 only where the token does not reach it."
        if self.reading is Reading.NEW_ENOUGH:
            return f"{name} never asks without a token."
        if self.reading is Reading.VERSION_UNKNOWN and self.caller.needs:
            return f"{name} is here, its version not known; it needs {self.caller.needs}."
        return f"{name}."

    @property
    def advice(self) -> str:
        """What to do. A version that is new enough is not to be upgraded: what stops its token is (case 31)."""
        return ADVICE.get(self.reading, self.caller.advice)


def parse(text: str) -> tuple[Caller, ...]:
    """The catalogue out of its TOML. Raises BadEntry."""
    try:
        entries = tomllib.loads(text).get("caller", [])
    except tomllib.TOMLDecodeError as error:
        raise BadEntry(f"The catalogue of known callers is not TOML: {error}") from error
    found: dict[str, Caller] = {}
    for number, entry in enumerate(entries, 1):
        one = _entry(entry, number)
        if one.id in found:
            raise BadEntry(f"Known caller {number} ({one.id}) is there twice.")
        found[one.id] = one
    return tuple(found.values())


def _entry(entry: Mapping[str, Any], number: int) -> Caller:
    name = entry.get("id", "without an id")
    missing = [field for field in REQUIRED if not entry.get(field)]
    if missing:
        raise BadEntry(f"Known caller {number} ({name}) lacks {', '.join(missing)}.")
    unknown = set(entry) - {*REQUIRED, *WHERE, *VERSIONS}
    if unknown:
        raise BadEntry(f"Known caller {number} ({name}) has {', '.join(sorted(unknown))}, which nothing reads.")
    if entry["behaviour"] not in BEHAVIOURS or entry["kind"] not in KINDS:
        raise BadEntry(f"Known caller {number} ({name}) has a behaviour or kind that is none of the words there are.")
    if not str(entry["source"]).startswith("https://"):
        raise BadEntry(f"Known caller {number} ({name}) names no https source.")
    if not any(entry.get(where) for where in WHERE):
        raise BadEntry(f"Known caller {number} ({name}) can be recognised by nothing.")
    for field in VERSIONS:
        if entry.get(field) and not version(entry[field]):
            raise BadEntry(f"Known caller {number} ({name}) has {field} {entry[field]}, which is no version.")
    if entry.get("only") and not version(entry.get("needs", "")) <= version(entry["only"]):
        raise BadEntry(f"Known caller {number} ({name}) ends falling back before it asks with a token.")
    try:
        patterns: dict[str, Any] = {
            where: tuple(re.compile(one, re.IGNORECASE) for one in entry.get(where, ())) for where in WHERE
        }
    except re.error as error:
        raise BadEntry(f"Known caller {number} ({name}) has a pattern that does not compile: {error}") from error
    return Caller(
        **{field: entry[field] for field in REQUIRED}, **{field: entry.get(field, "") for field in VERSIONS}, **patterns
    )


@cache
def catalogue() -> tuple[Caller, ...]:
    """The known callers. Raises BadEntry."""
    return parse(FILE.read_text(encoding="utf-8"))


def match(
    *, user_agent: str = "", tags: Mapping[str, str] | None = None, image_name: str = "", text: str = ""
) -> tuple[Match, ...]:
    """Every known caller that these give away, what to act on first."""
    found = []
    agent = user_agent[:AGENT_LENGTH]
    for caller in catalogue():
        for by, patterns, told in (
            ("user agent", caller.agents, [agent]),
            ("tag", caller.tags, list(tags or ())),
            ("AMI name", caller.images, [image_name]),
            ("text", caller.texts, [text]),
        ):
            hit = next((m for pattern in patterns for one in told if one and (m := pattern.search(one))), None)
            if hit:
                seen = hit[1] if hit.re.groups and hit[1] else ""
                found.append(Match(caller, by, seen.rstrip("."), _reading(caller, seen)))
                break
    return tuple(sorted(found, key=lambda one: URGENT.index(one.reading)))


def named(ids: Iterable[str], *, by: str) -> tuple[Match, ...]:
    """Known callers by their ids, of which nothing but the name was seen. One that the catalogue lost is left out."""
    known = {one.id: one for one in catalogue()}
    return tuple(Match(known[one], by, "", _reading(known[one], "")) for one in ids if one in known)


URGENT = (
    Reading.V1_ONLY,
    Reading.TOO_OLD,
    Reading.FALLS_BACK,
    Reading.NEEDS_LOOK,
    Reading.VERSION_UNKNOWN,
    Reading.FALLBACK_POSSIBLE,
    Reading.NEW_ENOUGH,
)
TO_UPGRADE = frozenset({Reading.V1_ONLY, Reading.TOO_OLD, Reading.FALLS_BACK})
ADVICE = {
    Reading.FALLBACK_POSSIBLE: "No upgrade is needed. In a container, raise the hop limit; then measure again.",
    Reading.NEW_ENOUGH: "No upgrade is needed. Look for another caller on the same instance.",
}


def _reading(caller: Caller, seen: str) -> Reading:
    if caller.behaviour == "v1 only":
        return Reading.V1_ONLY
    if caller.behaviour in {"needs hops", "boot", "service"}:
        return Reading.NEEDS_LOOK
    if not caller.needs or not version(seen):
        return Reading.VERSION_UNKNOWN
    if version(seen) < version(caller.needs):
        return Reading.TOO_OLD
    if not caller.only:
        return Reading.FALLBACK_POSSIBLE
    return Reading.FALLS_BACK if version(seen) < version(caller.only) else Reading.NEW_ENOUGH


def version(text: str) -> tuple[int, ...]:
    """1.16.289 -> (1, 16, 289); trailing zeros do not count, and what is no version is ()."""
    pieces = [
        int(piece) for piece in re.findall(r"\d{1,12}", re.split(r"[-+ ]", text.strip().lstrip("v"), maxsplit=1)[0])
    ]
    while pieces and pieces[-1] == 0:
        pieces.pop()
    return tuple(pieces) or ((0,) if re.search(r"\d", text) else ())
