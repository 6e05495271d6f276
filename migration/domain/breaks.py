"""What a guardrail would break today, as far as the inventory tells. Pure: what was collected in, sentences out.

What is not known is said as that: only what was read, and comes out well, is counted as unharmed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from migration.domain.launch import Decided, answer, worst
from migration.domain.policies.wanted import DEFAULTS, NO_PREFERENCE, TEMPLATES, Attach, Kind, Wanted
from migration.enums import DONE, LEFT, LaunchAnswer, LaunchSourceKind, Level, Status

# Who launches for these is a service-linked role, whom no SCP and no IAM policy of yours binds.
BY_SERVICE = (LaunchSourceKind.GROUP, LaunchSourceKind.CONFIGURATION, LaunchSourceKind.SPOT)
LISTED = 50
OPENED = Decided("enabled", Level.BASE)  # the endpoint, where no default turns it off


@dataclass(frozen=True, slots=True)
class Way:
    """One launch that a source may make."""

    tokens: Decided
    hop_limit: Decided
    endpoint: Decided


@dataclass(frozen=True, slots=True)
class Launch:
    """What new instances come from. `enforced`: HttpTokensEnforced of its Region; None: not read."""

    kind: LaunchSourceKind
    name: str
    account_id: str
    region: str
    recent: int  # instances first launched within 30 days
    now: LaunchAnswer
    ways: tuple[Way, ...]
    enforced: bool | None = None
    management: bool = False  # in the organization's management account
    place: str = ""  # the account's name


@dataclass(frozen=True, slots=True)
class Usage:
    """Instances by what is known of their calls, whatever their status: a waived one may call as well."""

    calling: int = 0  # called IMDSv1 in the window
    undecided: int = 0  # not every hour of the window was measured, and no call was
    quiet: int = 0  # every hour was measured, and no call
    refusing: int = 0  # tokens required, or IMDS off


@dataclass(frozen=True, slots=True)
class Chosen:
    """The instance or template that a text names, where it is known."""

    name: str
    found: bool
    usage: Usage = Usage()  # of the instance itself, or of those the template launched
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was collected of the accounts the guardrail is for. `launches` None: never read."""

    launches: Sequence[Launch] | None = None
    unsimulated: int = 0  # sources beyond those in `launches`
    unreadable: int = 0  # accounts that cannot be entered, or were never read
    unread: int = 0  # account-Regions whose launch sources were not read whole
    scopes: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    stopped_v1: int = 0  # stopped instances that allow IMDSv1
    usage: Usage = Usage()  # of all instances
    with_role: Usage = Usage()  # of those that have an instance profile
    managed_defaults: int = 0  # account-Regions whose defaults a declarative policy holds
    closed_defaults: int = 0  # account-Regions whose default turns IMDS off
    delivered_v1: bool | None = None  # calls with credentials delivered by IMDSv1 were seen; None: not read

    def count(self, statuses: Iterable[str]) -> int:
        return sum(self.by_status.get(status, 0) for status in statuses)


class Tone(StrEnum):
    BREAKS = "bad"
    MAY_BREAK = "warn"
    UNKNOWN = "unknown"
    UNHARMED = "good"


@dataclass(frozen=True, slots=True)
class Effect:
    """A sentence, and what it is about: the busiest first, `more` of them not listed."""

    tone: Tone
    text: str
    listed: tuple[Launch, ...] = ()
    more: int = 0


def today(kind: Kind, wanted: Wanted, fleet: Fleet, chosen: Chosen | None = None) -> list[Effect]:
    """What breaks first, then what may, then what is not known, then what goes on."""
    wanted = wanted.of(kind)
    if kind in DEFAULTS:
        found = list(_of_defaults(kind, wanted, fleet))
    elif kind in _DENIED:
        found = list(_DENIED[kind](wanted, fleet))
    else:
        found = list(_of_one(kind, wanted, fleet, chosen))
    if fleet.unreadable:
        found.append(
            Effect(
                Tone.UNKNOWN,
                f"{_many(fleet.unreadable, 'account')} cannot be read, or {'was' if fleet.unreadable == 1 else 'were'} "
                "not yet: what would break there is not known.",
            )
        )
    if not any(one.tone in {Tone.BREAKS, Tone.MAY_BREAK} for one in found):
        unknown = any(one.tone is Tone.UNKNOWN for one in found)
        found.append(
            Effect(Tone.UNKNOWN, "Nothing is known to break. That is not the same as safe: see what is not known.")
            if unknown
            else Effect(Tone.UNHARMED, "Nothing that was collected would break.")
        )
    return sorted(found, key=lambda one: list(Tone).index(one.tone))


# --- defaults and enforcement ----------------------------------------------------------------------------------


def after(launch: Launch, wanted: Wanted, *, resets: bool = False) -> LaunchAnswer:
    """The answer once the default is as wanted. `resets`: the other defaults become no preference."""
    enforced = True if wanted.enforced else launch.enforced
    return worst(
        answer(
            _with_default(way.tokens, wanted),
            OPENED if resets and way.endpoint.level is Level.ACCOUNT else way.endpoint,
            enforced=enforced,
        )
        for way in launch.ways
    )


def _with_default(tokens: Decided, wanted: Wanted) -> Decided:
    """What the launch states stays, the default decides what it leaves out, and without one the AMI, as before."""
    if tokens.level is Level.LAUNCH:
        return tokens
    if wanted.tokens != NO_PREFERENCE:
        return Decided(wanted.tokens, Level.ACCOUNT)
    return Decided(None, Level.IMAGE) if tokens.level is Level.ACCOUNT else tokens


def _of_defaults(kind: Kind, wanted: Wanted, fleet: Fleet) -> Iterator[Effect]:
    if kind is not Kind.DECLARATIVE and fleet.managed_defaults:
        yield Effect(
            Tone.BREAKS,
            f"In {_many(fleet.managed_defaults, 'account-Region')} a declarative policy holds the defaults: the call "
            "is refused there.",
        )
    resets = kind is Kind.TERRAFORM_DEFAULTS
    if resets and fleet.closed_defaults:
        yield Effect(
            Tone.BREAKS,
            f"In {_many(fleet.closed_defaults, 'account-Region')} the default turns IMDS off. Terraform would set that "
            "to “no preference”, and open IMDS on new instances.",
        )
    yield from _unread(fleet)
    heaps = _heaps(fleet, lambda launch: after(launch, wanted, resets=resets))
    new = [one for one in heaps[LaunchAnswer.FAILS] if one.now is not LaunchAnswer.FAILS]
    if new:
        yield _about(Tone.BREAKS, new, "would fail to launch: tokens come out as optional, which enforcement refuses")
    if old := [one for one in heaps[LaunchAnswer.FAILS] if one.now is LaunchAnswer.FAILS]:
        yield _about(Tone.UNHARMED, old, "already fail{s} today, under enforcement that is on")
    tightened = [one for one in heaps[LaunchAnswer.SAFE] if one.now is LaunchAnswer.V1_ALLOWED]
    if tightened:
        yield _about(
            Tone.MAY_BREAK,
            tightened,
            "allow{s} IMDSv1 today and would launch with tokens required: software that calls IMDSv1 breaks on new "
            "instances",
        )
    if opened := [one for one in heaps[LaunchAnswer.V1_ALLOWED] if one.now is LaunchAnswer.SAFE]:
        yield _about(Tone.MAY_BREAK, opened, "{are} safe today and would launch with IMDSv1 allowed")
    if heaps[LaunchAnswer.UNKNOWN]:
        yield _about(Tone.UNKNOWN, heaps[LaunchAnswer.UNKNOWN], "{are} not known: the level that decides was not read")
    if kept := [one for one in heaps[LaunchAnswer.V1_ALLOWED] if one.now is not LaunchAnswer.SAFE]:
        yield _about(Tone.UNHARMED, kept, "go{es} on allowing IMDSv1")
    if heaps[LaunchAnswer.SAFE] and (same := len(heaps[LaunchAnswer.SAFE]) - len(tightened)):
        yield Effect(Tone.UNHARMED, f"{_sources(same)} launch{'es' if same == 1 else ''} as safely as today.")
    yield from _existing(wanted, fleet)


def _existing(wanted: Wanted, fleet: Fleet) -> Iterator[Effect]:
    if wanted.enforced and (done := fleet.count([Status.ENFORCED, Status.PENDING])):
        yield Effect(
            Tone.MAY_BREAK,
            f"{_many(done, 'instance')} with tokens required could not be given IMDSv1 again, in an incident either, "
            "until enforcement is lifted.",
        )
    if total := fleet.count([*LEFT, *DONE]):
        yield Effect(Tone.UNHARMED, f"{_many(total, 'instance')} that {_are(total)} there keep{_s(total)} the options.")


# --- one template, one instance ----------------------------------------------------------------------------------


def _of_one(kind: Kind, wanted: Wanted, fleet: Fleet, chosen: Chosen | None) -> Iterator[Effect]:
    template = kind in TEMPLATES
    if chosen is not None and chosen.found:
        usage, whose = chosen.usage, "launched from it " if template else ""
        if chosen.reason:
            yield Effect(Tone.UNHARMED, f"{chosen.name} today: {chosen.reason}")
    else:
        usage, whose = fleet.usage, ""
        what = "template" if template else "instance"
        named = f"No {what} {chosen.name} was read" if chosen is not None else f"No {what} is named"
        yield Effect(Tone.UNKNOWN, f"{named}; what follows is about all instances that were collected.")
    if wanted.tokens != "required":
        yield Effect(Tone.MAY_BREAK, f"It allows IMDSv1 on {'new instances' if template else 'the instance'}.")
        return
    later = "its successors are refused such calls" if template else "with tokens required such calls are refused"
    if usage.calling:
        yield Effect(Tone.BREAKS, f"{_many(usage.calling, 'instance')} {whose}called IMDSv1 in the window: {later}.")
    yield from _undecided(usage, whose)
    if usage.quiet:
        yield Effect(
            Tone.UNHARMED, f"{_many(usage.quiet, 'instance')} {whose}made no IMDSv1 call in any hour of the window."
        )
    if usage.refusing:
        yield Effect(
            Tone.UNHARMED, f"{_many(usage.refusing, 'instance')} {whose}refuse{_s(usage.refusing)} IMDSv1 already."
        )


def _undecided(usage: Usage, whose: str) -> Iterator[Effect]:
    if count := usage.undecided:
        yield Effect(
            Tone.UNKNOWN,
            f"Whether {_many(count, 'instance')} {whose}{'calls' if count == 1 else 'call'} IMDSv1 is not known yet.",
        )


# --- statements that deny -------------------------------------------------------------------------------------


def launched(launch: Launch, wanted: Wanted) -> LaunchAnswer:
    """FAILS: the launch is denied. UNKNOWN: nobody says whether the key carries what the account or the AMI decides."""
    return worst(_denied(way, wanted) for way in launch.ways)


def _denied(way: Way, wanted: Wanted) -> LaunchAnswer:
    stated = way.tokens.level is Level.LAUNCH
    if way.tokens.value is None:
        return LaunchAnswer.UNKNOWN
    if way.tokens.value != "required":
        return LaunchAnswer.FAILS
    limit, hops = wanted.hop_limit, way.hop_limit
    if limit is not None and isinstance(hops.value, int) and hops.value > limit:
        return LaunchAnswer.FAILS if hops.level is Level.LAUNCH else LaunchAnswer.UNKNOWN
    if limit is not None and hops.value is None:
        return LaunchAnswer.UNKNOWN
    return LaunchAnswer.SAFE if stated else LaunchAnswer.UNKNOWN


def _of_launches(wanted: Wanted, fleet: Fleet) -> Iterator[Effect]:
    yield from _unread(fleet)
    launches = fleet.launches or ()
    scp = wanted.attach is Attach.SCP
    free = [one for one in launches if scp and one.management]
    ours = [one for one in launches if not (scp and one.management)]
    served = [one for one in ours if one.kind in BY_SERVICE]
    asked = Fleet(launches=[one for one in ours if one.kind not in BY_SERVICE])
    heaps = _heaps(asked, lambda launch: launched(launch, wanted))
    if heaps[LaunchAnswer.FAILS]:
        yield _about(Tone.BREAKS, heaps[LaunchAnswer.FAILS], "would be denied, for launching without what is asked for")
    if heaps[LaunchAnswer.UNKNOWN]:
        yield _about(
            Tone.UNKNOWN,
            heaps[LaunchAnswer.UNKNOWN],
            "{are} not known: the account's default or the AMI decides, and whether the key carries that is not said",
        )
    if safe := heaps[LaunchAnswer.SAFE]:
        yield _about(Tone.UNHARMED, safe, "state{s} what is asked for, and pass{es}")
    if allowing := [one for one in served if launched(one, wanted) is not LaunchAnswer.SAFE]:
        yield _about(
            Tone.MAY_BREAK,
            allowing,
            "launch{es} by a service-linked role and {are} not stopped; the next change of such a group by a person is "
            "denied",
        )
    if free:
        yield _about(Tone.UNHARMED, free, "{are} in the management account, which no SCP binds")
    if fleet.stopped_v1:
        yield Effect(
            Tone.UNHARMED,
            f"{_many(fleet.stopped_v1, 'stopped instance')} that allow{_s(fleet.stopped_v1)} IMDSv1 can still be "
            "started: only RunInstances is denied.",
        )


def _of_opt_out(wanted: Wanted, fleet: Fleet) -> Iterator[Effect]:
    but = f", but by {wanted.role}" if wanted.role else ""
    if done := fleet.count([Status.ENFORCED, Status.PENDING]):
        yield Effect(
            Tone.MAY_BREAK, f"{_many(done, 'instance')} with tokens required could not be given IMDSv1 again{but}."
        )
    yield Effect(
        Tone.UNKNOWN,
        "Whether Terraform or another tool sets tokens to optional at its next run is not collected. Such a run would "
        "fail.",
    )
    if left := fleet.count(LEFT):
        yield Effect(Tone.UNHARMED, f"{_many(left, 'instance')} that {_are(left)} not enforced yet can be, as before.")


def _of_credentials(_wanted: Wanted, fleet: Fleet) -> Iterator[Effect]:
    usage = fleet.with_role
    if usage.calling:
        yield Effect(
            Tone.BREAKS,
            f"{_many(usage.calling, 'instance')} with a role called IMDSv1 in the window. What "
            f"{'it calls' if usage.calling == 1 else 'they call'} in AWS with credentials from there is refused at "
            "once.",
        )
    if fleet.delivered_v1:
        yield Effect(Tone.BREAKS, "Calls with credentials that were delivered by IMDSv1 were seen. They are refused.")
    elif fleet.delivered_v1 is None:
        yield Effect(
            Tone.UNKNOWN,
            "Who uses credentials that were delivered by IMDSv1 is not read (ec2RoleDelivery 1.0 in CloudTrail).",
        )
    yield from _undecided(usage, "with a role ")
    if usage.quiet:
        yield Effect(
            Tone.UNHARMED,
            f"{_many(usage.quiet, 'instance')} with a role made no IMDSv1 call in any hour of the window.",
        )
    if done := usage.refusing:
        yield Effect(Tone.UNHARMED, f"{_many(done, 'instance')} with a role refuse{_s(done)} IMDSv1 already.")


_DENIED: Mapping[Kind, Callable[[Wanted, Fleet], Iterator[Effect]]] = {
    Kind.DENY_LAUNCH: _of_launches,
    Kind.DENY_OPT_OUT: _of_opt_out,
    Kind.DENY_V1_CREDENTIALS: _of_credentials,
}


# --- words ----------------------------------------------------------------------------------------------------


def _unread(fleet: Fleet) -> Iterator[Effect]:
    if fleet.launches is None:
        yield Effect(Tone.UNKNOWN, "What launches instances here was not read yet, so nothing can be said of launches.")
        return
    if fleet.unread:
        yield Effect(
            Tone.UNKNOWN,
            f"In {fleet.unread:,} of {_many(fleet.scopes, 'account-Region')} launch sources were not read whole: more "
            "may break there.",
        )
    if fleet.unsimulated:
        yield Effect(
            Tone.UNKNOWN,
            f"{_many(fleet.unsimulated, 'more launch source')} {'was' if fleet.unsimulated == 1 else 'were'} not "
            "looked at here. Choose an account to see all of its.",
        )


def _heaps(fleet: Fleet, judge: Callable[[Launch], LaunchAnswer]) -> dict[LaunchAnswer, list[Launch]]:
    heaps: dict[LaunchAnswer, list[Launch]] = {one: [] for one in LaunchAnswer}
    for launch in fleet.launches or ():
        heaps[judge(launch)].append(launch)
    return heaps


def _about(tone: Tone, launches: Sequence[Launch], what: str) -> Effect:
    """`what` says of them, with {s}, {es} and {are} where the verb goes by their number."""
    busiest = sorted(launches, key=lambda one: (-one.recent, one.account_id, one.region, one.name))
    recent, one = sum(one.recent for one in launches), len(launches) == 1
    came = f"{_many(recent, 'instance') if recent else 'No instance'} came from {'it' if one else 'them'} in 30 days."
    said = what.format(s="s" if one else "", es="es" if one else "", are=_are(len(launches)))
    text = f"{_sources(len(launches))} {said}. {came}"
    return Effect(tone, text, tuple(busiest[:LISTED]), max(len(launches) - LISTED, 0))


def _sources(count: int) -> str:
    return _many(count, "launch source")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _s(count: int) -> str:
    """The ending of the verb."""
    return "s" if count == 1 else ""
