"""What waits for a person: the short list on the overview."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from migration.models import EnforcementRequest, Run, Waiver
from migration.queries.accounts import AccountRow
from migration.queries.plans import Inbox


@dataclass(frozen=True)
class Needs:
    approvals: list[EnforcementRequest] = field(default_factory=list)
    waivers: list[Waiver] = field(default_factory=list)
    drafts: list[EnforcementRequest] = field(default_factory=list)
    paused: list[Run] = field(default_factory=list)
    regressed: list[AccountRow] = field(default_factory=list)
    unreadable: list[AccountRow] = field(default_factory=list)
    ready: list[AccountRow] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        lists = (
            self.approvals,
            self.waivers,
            self.drafts,
            self.paused,
            self.regressed,
            self.unreadable,
            self.ready,
        )
        return not any(lists)


def needs(
    rows: list[AccountRow], *, inbox: Inbox, paused: list[Run], waivers: Sequence[Waiver] = (), limit: int = 5
) -> Needs:
    free = [row for row in rows if row.enforceable and row.open_request is None and row.active_run is None]
    return Needs(
        approvals=inbox.mine[:limit],
        waivers=list(waivers[:limit]),
        drafts=inbox.drafts[:limit],
        paused=paused[:limit],
        regressed=[row for row in rows if row.mix.regressed][:limit],
        unreadable=[row for row in rows if not row.readable][:limit],
        ready=sorted(free, key=lambda row: -row.enforceable)[:limit],
    )
