"""What a page needs to show a chart to everybody: the figure, one sentence, and the same numbers as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plotly import graph_objects

go: Any = graph_objects  # Plotly has no types

DASH = "\u2013"  # printed for what is not known


@dataclass(frozen=True)
class Table:
    """The data of a chart for those who do not see it, or have no JavaScript."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Chart:
    """`figure` is Plotly's JSON. Colours are not in it: traces and shapes name a tone, the page's theme paints it."""

    key: str  # id on the page
    title: str
    sentence: str
    figure: Mapping[str, Any]
    table: Table
    empty: str = ""  # when there is nothing to draw: why, and what happens next
    height: str = "m"

    @property
    def data_id(self) -> str:
        return f"data-{self.key}"


def escaped(text: str) -> str:
    """Plotly reads <a>, <b> and <span> in its texts: what AWS's users typed must not become markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def number(value: int) -> str:
    """1234567 -> 1,234,567"""
    return f"{value:,}"


def plain(traces: Sequence[Any], layout: Mapping[str, Any]) -> dict[str, Any]:
    """Plotly's JSON as plain lists, without the default template (7 kB that the theme would only undo)."""
    figure = go.Figure(data=list(traces), layout={"template": {"data": {}}, **layout})
    plain_json: dict[str, Any] = json.loads(figure.to_json())
    plain_json["layout"].pop("template", None)
    return plain_json
