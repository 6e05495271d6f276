"""AWS's partitions, as botocore knows them. Nothing here asks AWS."""

import boto3
from botocore.exceptions import BotoCoreError, UnknownRegionError

from migration.aws.sessions import FALLBACK_REGION


def known() -> tuple[str, ...]:
    return tuple(boto3.Session().get_available_partitions())


def home() -> str:
    """The partition of the configured home Region."""
    try:
        region = boto3.Session().region_name or FALLBACK_REGION
    except BotoCoreError:  # a profile that is not there; whoever asks AWS will say so
        region = FALLBACK_REGION
    return of_region(region)


def of_region(region: str) -> str:
    """Also of a Region younger than this botocore, by its prefix; of a name that is none, the first partition's."""
    try:
        return str(boto3.Session(region_name=region).get_partition_for_region(region))
    except UnknownRegionError:
        return known()[0]
