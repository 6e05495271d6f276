"""The only writes to AWS. Other credentials than the reader's, and one importer: `tasks.enforcement`."""

from migration.aws.enforcer.instances import modify_metadata_options

__all__ = ["modify_metadata_options"]
