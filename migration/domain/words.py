"""Counts and labels as a sentence says them. Pure."""


def some(count: int, noun: str) -> str:
    """1 change, 2 changes, 1,200 changes."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def inner(label: str) -> str:
    """A label in the middle of a sentence: "Not ready" is "not ready", and "IMDS off" and "AMIs" stay as they are."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]
