"""How fast the rule is that says whether an instance is ready: `migration.domain.readiness.judge`, nothing else."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

from migration.domain.facts import MetadataOptions
from migration.domain.readiness import HOURS, Hours, Subject, Window, judge

INSTANCES = 5000
QUICK = 200
DAYS = 14
UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)


def measure(*, quick: bool = False) -> dict[str, Any]:
    """A fleet of four kinds in turn: quiet, calling, with a silent hour, enforced."""
    count = QUICK if quick else INSTANCES
    window = Window(days=DAYS, until=UNTIL, today=UNTIL.date())
    subjects = [subject(number, window) for number in range(count)]
    began = time.process_time()
    verdicts = [judge(one, window) for one in subjects]
    seconds = time.process_time() - began
    statuses = sorted({str(verdict.status) for verdict in verdicts})
    return {
        "instances": count,
        "window_days": DAYS,
        "statuses": statuses,
        "judged_per_cpu_second": round(count / seconds),
    }


def subject(number: int, window: Window) -> Subject:
    kind = number % 4
    quiet: Hours = (0,) * HOURS
    days: dict[date, Hours] = dict.fromkeys((*window.dates, UNTIL.date()), quiet)
    if kind == 1:
        days[window.dates[3]] = (*quiet[:-1], 7)
    elif kind == 2:  # noqa: PLR2004
        days[window.dates[3]] = (*quiet[:-1], None)
    return Subject(
        options=MetadataOptions(
            http_tokens="required" if kind == 3 else "optional",  # noqa: PLR2004
            http_put_response_hop_limit=1,
            http_endpoint="enabled",
            http_protocol_ipv6="disabled",
            instance_metadata_tags="disabled",
            state="applied",
        ),
        instance_state="running",
        operator_managed=False,
        first_launched_at=UNTIL - timedelta(days=200),
        last_started_at=UNTIL - timedelta(days=200),
        stopped_at=None,
        first_enforced_at=None,
        waived_until=None,
        v1=days,
    )
