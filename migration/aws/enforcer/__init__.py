"""The only writes to AWS. Other credentials than the reader's, and two importers: `tasks.enforcement`, and
`tasks.preflight` for `dry_run` alone.
"""

from migration.aws.enforcer.instances import modify_metadata_options
from migration.aws.enforcer.writers import WRITERS, Writer, dry_run

__all__ = ["WRITERS", "Writer", "dry_run", "modify_metadata_options"]
