"""Counts as a sentence says them. Pure."""


def some(count: int, noun: str) -> str:
    """1 change, 2 changes, 1,200 changes."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
