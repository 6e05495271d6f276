"""What new instances come from: for the verdict on an instance, for the page, and for the account."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from migration.enums import LaunchAnswer, LaunchSourceKind
from migration.models import LaunchSource

# --- for the verdict: will it come back? --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comeback:
    """What would launch an instance's successor, and what that would get."""

    kind: LaunchSourceKind
    name: str
    answer_now: LaunchAnswer
    answer_enforced: LaunchAnswer

    @property
    def shown(self) -> str:
        """Such as "Auto Scaling group web"."""
        return f"{self.kind.label} {self.name}"


@dataclass(frozen=True, slots=True)
class Launching:
    """The living sources of one account in one Region, by what an instance's row tells of its own launch."""

    groups: Mapping[str, Comeback] = field(default_factory=dict)
    versions: Mapping[tuple[str, str], Comeback] = field(default_factory=dict)  # template id and version

    def of(self, asg_name: str, template_id: str = "", template_version: str = "") -> Comeback | None:
        """The group's answer for its member, else that of the template version. None: nothing known launches it
        again, or no such source was read.
        """
        if asg_name:
            return self.groups.get(asg_name)
        return self.versions.get((template_id, template_version))


def comes_back(account_pk: int, region: str) -> Launching:
    """One query; a source that is gone launches nothing more."""
    rows = LaunchSource.objects.filter(
        account_id=account_pk,
        region=region,
        gone_at__isnull=True,
        kind__in=[LaunchSourceKind.GROUP, LaunchSourceKind.TEMPLATE],
    ).order_by()
    groups: dict[str, Comeback] = {}
    versions: dict[tuple[str, str], Comeback] = {}
    for kind, source_id, name, now, enforced, ways in rows.values_list(
        "kind", "source_id", "name", "answer_now", "answer_enforced", "resolution"
    ):
        if kind == LaunchSourceKind.GROUP:
            groups[source_id] = Comeback(LaunchSourceKind.GROUP, name, LaunchAnswer(now), LaunchAnswer(enforced))
            continue
        for way in ways:
            shown = f"{name}, version {way['version']}"
            versions[source_id, str(way["version"])] = Comeback(
                LaunchSourceKind.TEMPLATE, shown, LaunchAnswer(way["now"]), LaunchAnswer(way["enforced"])
            )
    return Launching(groups, versions)
