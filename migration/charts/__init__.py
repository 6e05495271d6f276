"""Values in, figures and sentences out. Pure: no Django, no tables, no clock."""

from migration.charts.burndown import Ideal, burn_down, ideal
from migration.charts.burndown import small as small_burn_down
from migration.charts.calendar import Calendar, calendar
from migration.charts.figure import DASH, Chart, Table
from migration.charts.hours import Sheet, Span, sheet
from migration.charts.left import instances_left
from migration.charts.svg import Segment, Spark, segments, spark
from migration.charts.trend import Pace, Trend, calls_sentence, pace, trend
from migration.charts.usage import Mark, calls_per_day

__all__ = [
    "DASH",
    "Calendar",
    "Chart",
    "Ideal",
    "Mark",
    "Pace",
    "Segment",
    "Sheet",
    "Span",
    "Spark",
    "Table",
    "Trend",
    "burn_down",
    "calendar",
    "calls_per_day",
    "calls_sentence",
    "ideal",
    "instances_left",
    "pace",
    "segments",
    "sheet",
    "small_burn_down",
    "spark",
    "trend",
]
