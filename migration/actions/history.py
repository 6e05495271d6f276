"""The history of metadata options: what each was before, and whether we changed it or somebody else did."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from migration.domain.facts import MetadataOptions
from migration.domain.live import OPTIONS
from migration.enums import ChangeState
from migration.models import Change, Instance, OptionChange
from migration.queries.planning import options_of

LAG = timedelta(hours=1)  # EC2 may show the old value for a while after it took the new one
OURS = (ChangeState.CALLING, ChangeState.APPLIED, ChangeState.UNKNOWN, ChangeState.VERIFIED)


def remember(rows: Sequence[Instance], seen: Mapping[int, MetadataOptions], *, at: datetime) -> list[OptionChange]:
    """Write down which options of these stored instances are others now. `rows` as they were; `seen` by primary key.

    A change is ours when one of our runs sent that very value since the instance was last seen. An option that AWS did
    not say this time is not known to have changed.
    """
    found: list[OptionChange] = []
    for row in rows:
        before, after = options_of(row).as_aws(), seen[row.pk].as_aws()
        found += [
            _changed(row, option, before[option], after[option], at)
            for option in OPTIONS
            if after[option] is not None and after[option] != before[option]
        ]
    if found:
        _say_whose(found)
        OptionChange.objects.bulk_create(found)
    return found


def _changed(row: Instance, option: str, before: Any, after: Any, at: datetime) -> OptionChange:
    return OptionChange(
        instance=row,
        option=option,
        before=None if before is None else str(before),
        after=str(after),
        since=row.last_seen_at,
        at=at,
    )


def _say_whose(found: list[OptionChange]) -> None:
    """Give each the change of ours that sent it, if there is one."""
    ours = Change.objects.filter(
        instance__in={one.instance_id for one in found}, state__in=OURS, called_at__isnull=False
    ).order_by("called_at")
    sent: dict[tuple[int | None, str, str], list[Change]] = {}
    for change in ours:
        for option, value in change.send.items():
            sent.setdefault((change.instance_id, option, str(value)), []).append(change)
    for one in found:
        for change in sent.get((one.instance_id, one.option, one.after or ""), ()):
            if change.called_at is not None and one.since - LAG <= change.called_at <= one.at:
                one.change = change
