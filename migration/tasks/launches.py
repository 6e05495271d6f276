"""Reading what launches instances, once an inventory: each kind by itself, so that one that is refused leaves the
others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from migration.actions import launches
from migration.actions.collection import ScopeClaim
from migration.actions.launches import Gap, Kind
from migration.aws import autoscaling, ec2, errors
from migration.aws.sessions import Edge, Target
from migration.enums import GapKind
from migration.queries import shelf

Failed = Callable[[errors.AwsError], None]


def collect(edge: Edge, target: Target, *, claim: ScopeClaim, now: datetime, failed: Failed) -> None:
    """Read every kind, and judge each source from what is known then. `failed` is told of what could not be read.

    Raises LeaseLost.
    """
    reading = Reading(edge, target, claim, now, failed)
    reading.run()
    launches.record(claim=claim, whole=reading.whole, gaps=reading.gaps, now=now)
    launches.judge(claim=claim, now=now)


@dataclass
class Reading:
    """The launch sources of one account-Region, being read."""

    edge: Edge
    target: Target
    claim: ScopeClaim
    now: datetime
    failed: Failed
    whole: list[Kind] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    silent: errors.AwsError | None = None  # the endpoint does not answer, or the account has shut its door

    def run(self) -> None:
        """Groups before the templates' numbered versions, which they name; AMIs last, for all of them name these."""
        self._try(Kind.GROUPS, self._groups)
        self._try(Kind.TEMPLATES, self._templates)
        self._try(Kind.CONFIGURATIONS, self._configurations)
        self._try(Kind.SPOT, self._spot_requests)
        self._try(Kind.IMAGES, self._images)

    def _try(self, kind: Kind, read: Callable[[], None]) -> None:
        """Only a whole reading makes what is absent from it gone. What does not answer is not asked for the rest."""
        if self.silent is not None:
            self._note(kind, self.silent)
            return
        try:
            read()
        except errors.AwsError as error:
            if not error.answered or error.operation in {"AssumeRole", "GetCallerIdentity"}:
                self.silent = error
            self._note(kind, error)
            self.failed(error)
        else:
            launches.forget(claim=self.claim, kind=kind, seen_at=self.now)
            self.whole.append(kind)

    def _note(self, kind: Kind, error: errors.AwsError) -> None:
        self.gaps.append(Gap(kind, GapKind(error.gap), str(error)))

    @property
    def _asked(self) -> tuple[Edge, Target, str]:
        return self.edge, self.target, self.claim.region

    def _groups(self) -> None:
        for page in autoscaling.groups(*self._asked):
            launches.store_groups(claim=self.claim, facts=page, seen_at=self.now)

    def _templates(self) -> None:
        """The templates, their `$Default` and `$Latest`, and of the numbered versions in use those not known yet:
        a version never changes.
        """
        any_ = False
        for page in ec2.launch_templates(*self._asked):
            any_ |= bool(page)
            launches.store_templates(claim=self.claim, facts=page, seen_at=self.now)
        if not any_:
            return
        for versions in ec2.current_versions(*self._asked):
            launches.store_versions(claim=self.claim, facts=versions, seen_at=self.now)
        for template_id, numbers in self._wanted():
            found = ec2.numbered_versions(*self._asked, template_id, numbers)
            launches.store_versions(claim=self.claim, facts=found, seen_at=self.now)

    def _wanted(self) -> Iterator[tuple[str, set[int]]]:
        yield from shelf.versions_wanted(launches.place_of(self.claim), since=self.now - launches.LATELY).items()

    def _configurations(self) -> None:
        for page in autoscaling.launch_configurations(*self._asked):
            launches.store_configurations(claim=self.claim, facts=page, seen_at=self.now)

    def _spot_requests(self) -> None:
        for page in ec2.spot_requests(*self._asked):
            launches.store_spot_requests(claim=self.claim, facts=page, seen_at=self.now)

    def _images(self) -> None:
        wanted = shelf.image_ids(launches.place_of(self.claim), since=self.now - launches.LATELY)
        if wanted:
            found = ec2.images(*self._asked, wanted)
            launches.store_images(claim=self.claim, facts=found, seen_at=self.now)
