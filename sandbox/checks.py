"""Reading JSON that people write: a mistake gives one sentence that names the place and what is allowed."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_REQUIRED: Final = object()


class Mistake(Exception):
    """A mistake in a file, as `place: what is allowed`."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place or 'the file'}: {what}")


class Reader:
    """One JSON object and where it stands; every field is asked for once, and what nobody asked for is a mistake."""

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, dict):
            raise Mistake(path, f"must be an object, not {_kind(data)}")
        self.data: dict[str, Any] = data
        self.path = path
        self._asked: set[str] = set()

    def place(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the field is there (null is not)."""
        self._asked.add(name)
        return self.data.get(name) is not None

    def _take(self, name: str, default: object) -> Any:
        self._asked.add(name)
        value = self.data.get(name)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise Mistake(self.place(name), "is missing")
        return default

    def text(self, name: str, default: Any = _REQUIRED, pattern: str = "", allowed: str = "") -> str:
        """A string, perhaps of a pattern that `allowed` puts in words."""
        value = self._take(name, default)
        if value is default and default is not _REQUIRED:
            return str(value)
        if not isinstance(value, str):
            raise Mistake(self.place(name), f"must be text, not {_kind(value)}")
        if pattern and not re.fullmatch(pattern, value):
            raise Mistake(self.place(name), f'"{value}" is not {allowed}')
        return value

    def choice(self, name: str, allowed: Iterable[str], default: Any = _REQUIRED) -> str:
        """One of the allowed words."""
        words = tuple(allowed)
        value = self._take(name, default)
        if value not in words and value is not default:
            raise Mistake(self.place(name), f"{_shown(value)} is not one of {', '.join(words)}")
        return str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise Mistake(self.place(name), f"{_shown(value)} is not one of true, false")
        return value

    def integer(self, name: str, default: int | None, low: int, high: int | None = None) -> int | None:
        """A whole number in a range."""
        value = self._take(name, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            raise Mistake(self.place(name), f"{_shown(value)} is not a whole number{_range(low, high)}")
        return value

    def number(self, name: str, default: float, low: float, high: float | None = None) -> float:
        """A number in a range."""
        value = self._take(name, default)
        self._check_number(name, value, low, high)
        return float(value)

    def span(self, name: str, default: tuple[float, float] | None, low: float = 0.0) -> tuple[float, float] | None:
        """A number, or [from, to] from which each instance takes one."""
        value = self._take(name, None)
        if value is None:
            return default
        ends = value if isinstance(value, list) and len(value) == 2 else [value, value]  # noqa: PLR2004 - from and to
        for end in ends:
            self._check_number(name, end, low, None)
        if ends[0] > ends[1]:
            raise Mistake(self.place(name), f"{_shown(value)} is not in the order [least, most]")
        return float(ends[0]), float(ends[1])

    def _check_number(self, name: str, value: object, low: float, high: float | None) -> None:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or value < low or (high is not None and value > high):  # type: ignore[operator]
            raise Mistake(self.place(name), f"{_shown(value)} is not a number{_range(low, high)}")

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Mistake(self.place(name), "must be a list of texts")
        return value

    def words(self, name: str) -> dict[str, str]:
        """An object whose values are strings, such as tags."""
        value = self._take(name, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise Mistake(self.place(name), "must be an object whose values are texts")
        return value

    def objects(self, name: str, *, required: bool = False) -> list[Reader]:
        """A list of objects."""
        value = self._take(name, _REQUIRED if required else [])
        if not isinstance(value, list):
            raise Mistake(self.place(name), f"must be a list, not {_kind(value)}")
        return [Reader(each, f"{self.place(name)}[{index}]") for index, each in enumerate(value)]

    def object(self, name: str) -> Reader:
        """An object, empty when absent."""
        return Reader(self._take(name, {}), self.place(name))

    def finish(self) -> None:
        """Refuse fields that nobody asked for."""
        for name in self.data:
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(self._asked))}"
                raise Mistake(self.place(name), f"is not a known field; {hint}")


def _range(low: float, high: float | None) -> str:
    if high is not None:
        return f" from {low:g} to {high:g}"
    return "" if low == -math.inf else f" of at least {low:g}"


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
