"""The only writes to AWS. Other credentials than the reader's, and one importer: `tasks.enforcement`."""

from migration.aws.enforcer.instances import modify_metadata_options
from migration.aws.enforcer.writers import WRITERS, Writer, dry_run

__all__ = ["WRITERS", "Writer", "dry_run", "modify_metadata_options"]
