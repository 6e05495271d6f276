"""The writers by kind of change (`domain.ladder`), and the trial of each."""

from collections.abc import Callable, Mapping
from typing import Any

from migration.aws import errors
from migration.aws.enforcer.defaults import modify_defaults
from migration.aws.enforcer.groups import update_group
from migration.aws.enforcer.images import require_by_image
from migration.aws.enforcer.instances import modify_metadata_options
from migration.aws.enforcer.templates import create_version, set_default, try_default, try_version
from migration.aws.sessions import Edge, Target
from migration.domain import ladder

# edge, target, region, resource id, before, send, token -> AWS's request id. `token`: the same for every attempt of
# one change, and of no other. Raises AwsError, and ValueError for what must not travel.
Writer = Callable[[Edge, Target, str, str, Mapping[str, Any], Mapping[str, Any], str], str]
_Plain = Callable[[Edge, Target, str, str, Mapping[str, Any]], str]
WOULD_SUCCEED = "DryRunOperation"  # the error by which EC2 says so (domain.md 9)


def _writer(write: _Plain) -> Writer:
    """Of a write that needs neither what was before nor a token: sending it again changes nothing."""

    def writer(
        edge: Edge,
        target: Target,
        region: str,
        resource_id: str,
        _before: Mapping[str, Any],
        send: Mapping[str, Any],
        _token: str,
    ) -> str:
        return write(edge, target, region, resource_id, send)

    return writer


WRITERS: Mapping[str, Writer] = {
    ladder.INSTANCE: _writer(modify_metadata_options),
    ladder.TEMPLATE_VERSION: create_version,
    ladder.TEMPLATE_DEFAULT: set_default,
    ladder.GROUP: update_group,
    ladder.IMAGE: _writer(require_by_image),
    ladder.REGION_DEFAULTS: _writer(modify_defaults),
}
_TRIALS: Mapping[str, Callable[[Edge, Target, str, str, Mapping[str, Any]], Any]] = {
    ladder.INSTANCE: lambda *asked: modify_metadata_options(*asked, trial=True),
    ladder.TEMPLATE_VERSION: try_version,
    ladder.TEMPLATE_DEFAULT: try_default,
    ladder.IMAGE: lambda *asked: require_by_image(*asked, trial=True),
    ladder.REGION_DEFAULTS: lambda *asked: modify_defaults(*asked, trial=True),
}


def dry_run(  # noqa: PLR0917 -- a writer's, less what a trial needs not
    edge: Edge, target: Target, region: str, kind: str, resource_id: str, send: Mapping[str, Any]
) -> str | None:
    """AWS's error code for the write, "" where it would succeed, None where AWS offers no DryRun (Auto Scaling).

    It tests permission, and is no proof that the state, a declarative policy or HttpTokensEnforced would let it pass
    (domain.md 9). Nothing is changed by it. Raises AwsError where AWS did not say: throttled, unreachable, no
    credentials, its own trouble.
    """
    trial = _TRIALS.get(kind)
    if trial is None:
        return None
    try:
        trial(edge, target, region, resource_id, send)
    except (errors.Refused, errors.Denied, errors.RegionDisabled) as told:
        if not told.code:  # it was not sent at all
            raise
        return "" if told.code == WOULD_SUCCEED else told.code
    raise errors.Unreachable(f"The DryRun for {resource_id} was answered as a write, and may have been one.")
