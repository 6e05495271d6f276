"""The rungs above the single instance, each as a change the queue treats alike: a state before, the fields sent, a
state after. Pure.

A change has a kind (below), a Region, a resource id, `before` (the state it was planned from), `send` (exactly the
fields that change) and `after`. All three are JSON in AWS's own words; a key that AWS leaves out of its answer is null.

- `instance`: resource id = instance id. `before`: the five members of `live.OPTIONS`. `send`: some of them.
- `launch_template_version`: resource id = template id. `before`: {"SourceVersion": 3, "MetadataOptions": {what the
  source version states, only stated keys}}. `send`: {"MetadataOptions": the WHOLE block}, the stated options with
  HttpTokens=required and, where chosen, a hop limit; for AWS's text does not say whether a sent block is merged with
  the inherited one or replaces it. State after: {"VersionNumber": 7, "SourceVersion": 3, "MetadataOptions": {...}}. A
  plan makes one version of a template at most.
- `launch_template_default`: resource id = template id. `before` {"DefaultVersion": 3}, `send` {"DefaultVersion": 7}.
- `auto_scaling_group`: resource id = the group's name. `before` and `send`: {"LaunchTemplate": {"LaunchTemplateId",
  "LaunchTemplateName", "Version"}} or {"MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification",
  "Overrides"}}} as DescribeAutoScalingGroups gives them, the overrides whole. Only versions move. InstancesDistribution
  is in none of them: it is the owner's, and `enforcer.update_group` sends along what stands there at that moment.
- `image`: resource id = AMI id. `before` {"ImdsSupport": null}, `send` {"ImdsSupport": "v2.0"}. Cannot be undone.
- `region_defaults`: resource id = the Region's name. `before`: the five of DEFAULTS, null for no preference. `send`:
  some of TOKENS, HOP_LIMIT and ENFORCED, for example {"HttpTokensEnforced": "enabled"}.

A version that another change of the same plan makes is not known when the plan is: `{"made_by": "<template id>"}`
stands for its number until `with_version` fills it in.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from migration.domain.live import OPTIONS, Check, Finding, Sight

INSTANCE = "instance"
TEMPLATE_VERSION = "launch_template_version"
TEMPLATE_DEFAULT = "launch_template_default"
GROUP = "auto_scaling_group"
IMAGE = "image"
REGION_DEFAULTS = "region_defaults"
KINDS = (INSTANCE, TEMPLATE_VERSION, TEMPLATE_DEFAULT, GROUP, IMAGE, REGION_DEFAULTS)

TOKENS, HOP_LIMIT, ENFORCED = "HttpTokens", "HttpPutResponseHopLimit", "HttpTokensEnforced"
DEFAULTS = (TOKENS, HOP_LIMIT, "HttpEndpoint", "InstanceMetadataTags", ENFORCED)
# ModifyInstanceMetadataDefaults takes a preference away by these; leaving a field out keeps it (EC2 API).
NO_PREFERENCE, NO_HOP_PREFERENCE = "no-preference", -1
MADE_BY = "made_by"
DEFAULT_ALIAS = "$Default"  # what Auto Scaling takes where a specification names no version
# What a kind's state is compared by.
MEMBERS: Mapping[str, tuple[str, ...]] = {
    INSTANCE: OPTIONS,
    TEMPLATE_VERSION: ("MetadataOptions",),
    TEMPLATE_DEFAULT: ("DefaultVersion",),
    GROUP: ("LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName"),
    IMAGE: ("ImdsSupport",),
    REGION_DEFAULTS: DEFAULTS,
}
NAMES = {
    INSTANCE: "this instance",
    TEMPLATE_VERSION: "this launch template",
    TEMPLATE_DEFAULT: "this launch template",
    GROUP: "this Auto Scaling group",
    IMAGE: "this AMI",
    REGION_DEFAULTS: "the defaults of this Region",
}

Unlike = tuple[str, Any, Any]  # where in the state, what it was or should be, what it is


@dataclass(frozen=True, slots=True)
class Seen:
    """What a fresh read shows of one resource. `state`: as the kind's `before`, and more where the kind says so.

    `settled`: AWS has applied it. `managed`: who keeps it, when it is not ours to change; of a Region's defaults, the
    message of the declarative policy. `gone`: AWS says itself that it is ended or deleted; that it is not in an answer
    is no `Seen` at all, and proves nothing.
    """

    state: dict[str, Any]
    settled: bool = True
    managed: str = ""
    gone: bool = False


# --- what is sent, and what puts it back ------------------------------------------------------------------


def restore(kind: str, before: Mapping[str, Any], send: Mapping[str, Any]) -> dict[str, Any] | None:
    """What must be sent to put exactly the sent fields back. Empty: there is nothing to undo; None: it cannot be.

    A template version stays where it is and harms nobody once no default and no group names it. ImdsSupport of an AMI
    cannot be cleared (EC2 API, ModifyImageAttribute).
    """
    if kind == IMAGE:
        return None
    if kind == TEMPLATE_VERSION:
        return {}
    if kind == REGION_DEFAULTS:
        return {name: _preference(name, before.get(name)) for name in send}
    return {name: copy.deepcopy(before[name]) for name in send}


def switches_on(send: Mapping[str, Any]) -> bool:
    """Would AWS refuse launches that allow IMDSv1 from then on? Putting back a lift is that, too."""
    return send.get(ENFORCED) == "enabled"


def as_state(kind: str, send: Mapping[str, Any]) -> dict[str, Any]:
    """What the state shows of the sent fields once AWS has them."""
    if kind != REGION_DEFAULTS:
        return copy.deepcopy(dict(send))
    return {name: None if value in (NO_PREFERENCE, NO_HOP_PREFERENCE) else value for name, value in send.items()}


def _preference(name: str, value: Any) -> Any:
    if value is not None:
        return value
    return NO_HOP_PREFERENCE if name == HOP_LIMIT else NO_PREFERENCE


def awaited(send: Mapping[str, Any]) -> frozenset[str]:
    """The templates whose new version `send` still waits for: it can be sent when this is empty."""
    return frozenset(made_by for _, made_by in _placeholders(send))


def with_version(kind: str, send: Mapping[str, Any], version: int, *, template_id: str = "") -> dict[str, Any]:
    """`send` with the version made: as DefaultVersion a number, in a group's specifications a string (as AWS has it).

    Of a group only the specifications whose LaunchTemplateId is the one that made it; `template_id` further leaves
    those of other templates waiting, for a mixed group may name twenty.
    """
    filled = copy.deepcopy(dict(send))
    for holder, made_by in list(_placeholders(filled)):
        if template_id and made_by not in (template_id, TEMPLATE_VERSION):
            continue
        if kind == TEMPLATE_DEFAULT:
            holder["DefaultVersion"] = version
        elif kind == GROUP and (holder.get("LaunchTemplateId") == made_by or made_by == TEMPLATE_VERSION):
            holder["Version"] = str(version)
    return filled


def _placeholders(value: Any) -> Iterator[tuple[Any, str]]:
    """Every dictionary that holds a placeholder, and what it waits for."""
    if isinstance(value, Mapping):
        for inner in value.values():
            if isinstance(inner, Mapping) and set(inner) == {MADE_BY}:
                yield value, str(inner[MADE_BY])
            else:
                yield from _placeholders(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _placeholders(inner)


# --- before and after the write ---------------------------------------------------------------------------


def before_write(kind: str, seen: Seen | None, before: Mapping[str, Any], send: Mapping[str, Any]) -> Sight:
    """May the planned change be written? Only where the state equals the plan's `before`, field by field."""
    if seen is None:
        return Sight(Finding.GONE, f"AWS no longer shows {NAMES[kind]}.")
    if seen.gone:
        return Sight(Finding.ENDED, _ended(kind, seen))
    if seen.managed:
        return Sight(Finding.MANAGED, _managed(kind, seen.managed))
    if kind == TEMPLATE_VERSION:
        return _before_version(seen, before, send)
    moved = _unlike(kind, before, seen.state, _not_sent(kind, send))
    if not moved and not _unlike(kind, as_state(kind, send), seen.state, send):
        return Sight(Finding.ALREADY, "It already is what the plan wants.")
    return _go_unless(moved + _unlike(kind, before, seen.state, send))


def after_write(kind: str, seen: Seen | None, before: Mapping[str, Any], send: Mapping[str, Any]) -> tuple[Check, str]:
    """Has the write arrived? What was not sent must be as it was."""
    if seen is None:
        return Check.WAIT, f"AWS does not show {NAMES[kind]}; it may be a lagging read."
    if seen.gone:
        return Check.GONE, _ended(kind, seen)
    if kind == TEMPLATE_VERSION and "VersionNumber" not in seen.state:
        return Check.WAIT, "AWS does not show the new version yet."
    short = _unlike(kind, as_state(kind, send), seen.state, send)
    if short:
        return Check.WAIT, f"AWS does not show it yet: {_told(short, 'should be')}."
    if not seen.settled:
        return Check.WAIT, "AWS has accepted it and has not applied it yet."
    moved = _unlike(kind, before, seen.state, _not_sent(kind, send))
    if moved:
        return Check.DISTURBED, f"Done, but something else moved too: {_told(moved)}."
    return Check.VERIFIED, _done(kind, seen)


def _before_version(seen: Seen, before: Mapping[str, Any], send: Mapping[str, Any]) -> Sight:
    """A version that bears the change's own mark was made by a write whose answer did not arrive."""
    if "VersionNumber" not in seen.state:
        return _go_unless(_unlike(TEMPLATE_VERSION, before, seen.state, MEMBERS[TEMPLATE_VERSION]))
    number = seen.state["VersionNumber"]
    other = _unlike(TEMPLATE_VERSION, send, seen.state, send)
    if other:
        return Sight(Finding.DRIFTED, f"Version {number} bears this change's mark: {_told(other, 'should be')}.")
    return Sight(Finding.ALREADY, f"It already is what the plan wants: version {number}.")


def _go_unless(moved: list[Unlike]) -> Sight:
    if moved:
        return Sight(Finding.DRIFTED, f"Changed since the plan was made: {_told(moved)}.")
    return Sight(Finding.GO, "")


def _ended(kind: str, seen: Seen) -> str:
    if kind == INSTANCE:
        return f"The instance is {seen.state.get('InstanceState') or 'terminated'}."
    return f"AWS says that {NAMES[kind]} is deleted."


def _managed(kind: str, by: str) -> str:
    if kind == INSTANCE:
        return "An AWS service runs this instance; it cannot be changed by us."
    if kind == REGION_DEFAULTS:
        return f"A declarative policy of the organization sets the defaults of this Region: {by}"
    return f"{by} keeps {NAMES[kind]}; it is to be changed there."


def _done(kind: str, seen: Seen) -> str:
    if kind == TEMPLATE_VERSION:
        return f"Version {seen.state['VersionNumber']} is made, read back from AWS."
    if kind == INSTANCE and seen.state.get("State", "applied") != "applied":
        return "Done; the instance is stopped and takes it at its next start."
    return "Done, read back from AWS."


# --- field by field ---------------------------------------------------------------------------------------


def _not_sent(kind: str, send: Mapping[str, Any]) -> list[str]:
    return [name for name in MEMBERS[kind] if name not in send]


def _unlike(kind: str, wanted: Mapping[str, Any], state: Mapping[str, Any], names: Iterable[str]) -> list[Unlike]:
    """Where these members of the state are not as wanted. A key that is missing and null are the same."""
    chosen = tuple(names)
    was, now = (
        dict(_flat("", {name: _comparable(kind, side.get(name)) for name in chosen})) for side in (wanted, state)
    )
    return [(path, was.get(path), now.get(path)) for path in was | now if was.get(path) != now.get(path)]


def _told(unlike: Iterable[Unlike], past: str = "was") -> str:
    return ", ".join(f"{path} {past} {wanted} and is {is_}" for path, wanted, is_ in unlike)


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf by its path: `MixedInstancesPolicy.LaunchTemplate.Overrides[1].InstanceType`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(f"{path}[{index}]", inner)
    else:
        yield path, value


def _comparable(kind: str, value: Any) -> Any:
    """A group's specification as what it means: AWS adds the name to a template's id, and no version is $Default.

    InstancesDistribution is the owner's, and is not compared.
    """
    if kind != GROUP:
        return value
    if isinstance(value, list):
        return [_comparable(kind, inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    made = {name: _comparable(kind, inner) for name, inner in value.items() if name != "InstancesDistribution"}
    if "LaunchTemplateId" in made or "LaunchTemplateName" in made:
        made.setdefault("Version", DEFAULT_ALIAS)
        if made.get("LaunchTemplateId"):
            made.pop("LaunchTemplateName", None)
    return made
