"""What a launch would get, option by option. Pure: what is stated, the defaults and the AMI in, an answer out.

Each option is resolved on its own: launch or template, then the account's default in the Region, then the AMI (tokens
and hop limit only), then EC2's base value. After that, where HttpTokensEnforced is on and the tokens did not come out
as `required`, the launch fails. What could not be read stays unknown, and matters only where its level decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from migration.domain.facts import DefaultsFact
from migration.domain.launch_facts import ImageFact, LaunchOptions
from migration.enums import LaunchAnswer, Level

V2 = "v2.0"  # the one value of an AMI's ImdsSupport
# The worst first: what a source of several launches is judged by.
WORST = (LaunchAnswer.FAILS, LaunchAnswer.V1_ALLOWED, LaunchAnswer.UNKNOWN, LaunchAnswer.SAFE)


@dataclass(frozen=True, slots=True)
class Decided:
    """One option and the level that decides it. Value None: that level could not be read, so nothing is known."""

    value: str | int | None
    level: Level


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a launch gets. `enforced`: HttpTokensEnforced of the Region; None: not read."""

    tokens: Decided
    hop_limit: Decided
    endpoint: Decided
    ipv6: Decided
    tags: Decided
    enforced: bool | None

    @property
    def answer_now(self) -> LaunchAnswer:
        """With the defaults as they are; where they are not read, a launch that states `optional` may even fail."""
        return answer(self.tokens, self.endpoint, enforced=self.enforced)

    @property
    def answer_enforced(self) -> LaunchAnswer:
        """As if HttpTokensEnforced were on."""
        return answer(self.tokens, self.endpoint, enforced=True)

    @property
    def imds_off(self) -> bool:
        return self.endpoint.value == "disabled"

    @property
    def starves_containers(self) -> bool:
        """Tokens required with a hop limit of 1: the reply to a container's PUT does not arrive."""
        return self.tokens.value == "required" and self.hop_limit.value == 1 and not self.imds_off


def resolve(launch: LaunchOptions | None, defaults: DefaultsFact | None, image: ImageFact | None) -> Resolution:
    """What a launch that states `launch` gets. None: not read, and of `image` also: not known which.

    Only what is missing on the level that decides makes an option unknown.
    """
    flagged = image.imds_support == V2 if image is not None and image.readable else None
    unread = Decided(None, Level.IMAGE)
    tokens = Decided("required", Level.IMAGE) if flagged else Decided("optional", Level.BASE)
    hop_limit = Decided(2, Level.IMAGE) if flagged else Decided(1, Level.BASE)
    return Resolution(
        tokens=_option("http_tokens", launch, defaults, below=unread if flagged is None else tokens),
        hop_limit=_option(
            "http_put_response_hop_limit", launch, defaults, below=unread if flagged is None else hop_limit
        ),
        endpoint=_option("http_endpoint", launch, defaults, below=Decided("enabled", Level.BASE)),
        # The account has no default for it.
        ipv6=_option("http_protocol_ipv6", launch, DefaultsFact(), below=Decided("disabled", Level.BASE)),
        tags=_option("instance_metadata_tags", launch, defaults, below=Decided("disabled", Level.BASE)),
        enforced=None if defaults is None else defaults.http_tokens_enforced == "enabled",
    )


def worst(answers: Iterable[LaunchAnswer]) -> LaunchAnswer:
    """The answer for several launches of one source. Of none: unknown."""
    return min(answers, key=WORST.index, default=LaunchAnswer.UNKNOWN)


def _option(name: str, launch: LaunchOptions | None, defaults: DefaultsFact | None, *, below: Decided) -> Decided:
    """One option. `below`: what the AMI and EC2's base value say."""
    if launch is None:
        return Decided(None, Level.LAUNCH)
    if (stated := getattr(launch, name)) is not None:
        return Decided(stated, Level.LAUNCH)
    if defaults is None:
        return Decided(None, Level.ACCOUNT)
    if (default := getattr(defaults, name, None)) is not None:
        return Decided(default, Level.ACCOUNT)
    return below


def answer(tokens: Decided, endpoint: Decided, *, enforced: bool | None) -> LaunchAnswer:
    """What becomes of a launch that gets these."""
    if tokens.value == "required":
        return LaunchAnswer.SAFE  # whatever is enforced
    if enforced is None:
        return LaunchAnswer.UNKNOWN
    if endpoint.value == "disabled" and not enforced:
        return LaunchAnswer.SAFE  # no version of IMDS answers; enforcement asks for the tokens all the same
    if tokens.value is None:
        return LaunchAnswer.UNKNOWN
    return LaunchAnswer.FAILS if enforced else LaunchAnswer.V1_ALLOWED
