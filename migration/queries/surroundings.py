"""What is known around instances besides their options and their metric, as `domain.obstacles` takes it."""

from collections.abc import Sequence

from migration.domain import containers, workload
from migration.domain.obstacles import HOPS_FOR_CONTAINERS, Around
from migration.models import Image, Instance, RegionDefaults, Workload
from migration.queries import callers, findings, launches
from migration.queries.findings import Places

NONE = Places()


class Surroundings:
    """Of one account in one Region: what holds for all of it is read once, what concerns instances chunk by chunk."""

    def __init__(self, account_pk: int, region: str) -> None:
        self.account_pk, self.region = account_pk, region
        chosen = Workload.objects.filter(account_id=account_pk, region=region, hop_limit__isnull=False)
        self.hop_limits = {
            workload.Key(kind, name): limit for kind, name, limit in chosen.values_list("kind", "name", "hop_limit")
        }
        self.enforced = RegionDefaults.objects.filter(
            scope__account_id=account_pk, scope__region=region, http_tokens_enforced="enabled"
        ).exists()
        self.images = dict(Image.objects.filter(account_id=account_pk, region=region).values_list("image_id", "name"))
        self.launching = launches.comes_back(account_pk, region)

    def of(self, rows: Sequence[Instance]) -> dict[int, Around]:
        """Of a chunk of instances, by primary key."""
        pks = [row.pk for row in rows]
        calls, seen = findings.calls_of(pks), callers.v1_credentials(rows)
        return {row.pk: self._around(row, calls.get(row.pk, NONE), seen.get(row.pk)) for row in rows}

    def _around(self, row: Instance, calls: Places, seen: callers.Seen | None) -> Around:
        key = workload.key_of_row(row)
        next_one = self.launching.of(row.asg_name, row.launch_template_id, row.launch_template_version)
        hints = containers.hints(
            tags=row.tags,
            image_name=self.images.get(row.image_id, ""),
            seen=[containers.Hint(runtime, "its user data", hops) for runtime, hops in row.container_hints],
        )
        return Around(
            containers=tuple(f"{hint.runtime}, by {hint.words}" for hint in hints),
            hops_needed=containers.needed(hints) or HOPS_FOR_CONTAINERS,
            certain_calls=tuple(calls.certain),
            uncertain_calls=tuple(calls.uncertain),
            v1_credentials_at=None if seen is None else seen.at,
            v1_credentials_by="" if seen is None else seen.by,
            hop_limit_choice=None if key is None else self.hop_limits.get(key),
            source="" if next_one is None else next_one.shown,
            source_answer=None if next_one is None else next_one.answer_now,
            in_group=bool(row.asg_name),
            enforced_region=self.enforced,
        )
