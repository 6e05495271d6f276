"""The question for an organization's CloudTrail in Athena: who uses credentials that IMDSv1 delivered? Pure text.

LookupEvents takes two requests a second, an account and Region, and cannot ask for it; CloudTrail Lake takes no new
customers (domain.md 7). The table is the partition-projected one of AWS's own page.
"""

import re
from datetime import date

SOURCE = "https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html"
TABLE = re.compile(r"[a-z_][a-z0-9_]{0,120}(?:\.[a-z_][a-z0-9_]{0,120})?")
DEFAULT_TABLE = "cloudtrail_logs_pp"


class BadName(Exception):
    """A table's name that would not be one."""


def query(*, table: str = DEFAULT_TABLE, since: date) -> str:
    """SQL whose result `callers import --kind athena` takes. Raises BadName."""
    if not TABLE.fullmatch(table):
        raise BadName("A table is letters, digits and underscores, with its database before a dot if need be.")
    return f"""SELECT recipientaccountid, awsregion,
       useridentity.sessioncontext.sessionissuer.arn AS role_arn,
       regexp_extract(useridentity.arn, '(i-[0-9a-f]+)$', 1) AS instance_id,
       useragent, eventsource, count(*) AS calls, max(eventtime) AS last_seen
FROM {table}
WHERE "timestamp" >= '{since:%Y/%m/%d}'
  AND useridentity.sessioncontext.ec2roledelivery = '1.0'
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY calls DESC;"""  # noqa: S608 -- nothing is run here, and the table's name was checked
