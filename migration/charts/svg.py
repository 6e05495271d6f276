"""Small pictures the server draws itself: places and sizes for the templates' <rect>s."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 120, 28
LEAST = 1.5  # a day with calls is never too small to see


@dataclass(frozen=True)
class SparkBar:
    x: str
    y: str
    height: str
    width: str
    known: bool


@dataclass(frozen=True)
class Spark:
    bars: Sequence[SparkBar]
    label: str


def spark(calls: Sequence[int | None]) -> Spark:
    """Thirty little bars; a day not measured is a grey tick on the ground, never an empty place."""
    known, drawn = [call for call in calls if call is not None], bars(calls)
    if not known:
        return Spark(drawn, f"IMDSv1 calls, last {len(calls)} days: not measured")
    missing = len(calls) - len(known)
    gaps = f", {missing} days not measured" if missing else ""
    return Spark(drawn, f"IMDSv1 calls, last {len(calls)} days: {sum(known):,}, at most {max(known):,} a day{gaps}")


def bars(values: Sequence[int | None]) -> list[SparkBar]:
    """One for each, the highest as high as the picture; what is not known is a tick on the ground."""
    top, step = max([*(value for value in values if value is not None), 1]), WIDTH / max(len(values), 1)
    found = []
    for place, value in enumerate(values):
        height = 2.0 if value is None else (max(value / top * HEIGHT, LEAST) if value else 0.0)
        found.append(
            SparkBar(
                x=f"{place * step:.2f}",
                y=f"{HEIGHT - height:.2f}",
                height=f"{height:.2f}",
                width=f"{step * 0.72:.2f}",
                known=value is not None,
            )
        )
    return found


@dataclass(frozen=True)
class Segment:
    """One piece of a stacked bar, in percent of its length."""

    name: str
    x: str
    width: str


def segments(parts: Sequence[tuple[str, int]]) -> list[Segment]:
    total, at, found = sum(count for _, count in parts), 0.0, []
    for name, count in parts:
        share = 100 * count / total if total else 0
        found.append(Segment(name, f"{at:.3f}", f"{share:.3f}"))
        at += share
    return found
