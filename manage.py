#!/usr/bin/env python
"""The command line: `manage.py help` lists what there is."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imdsdash.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 -- after the settings are named
    from django.db import DatabaseError, OperationalError, ProgrammingError  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, ProgrammingError) as error:
        sys.exit(database_sentence(error))
    except DatabaseError as error:
        sys.exit(f"imdsdash: the database refused: {first_line(error)} Nothing of this step was kept.")


def database_sentence(error: Exception) -> str:
    """What is wrong with the database, in one sentence."""
    told = first_line(error)
    if "no such table" in told or ("does not exist" in told and "relation" in told):
        return f"imdsdash: the database has no tables yet ({told}); run `manage.py migrate` first."
    return f"imdsdash: the database cannot be used: {told}. Check DATABASE_URL; nothing was changed."


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


if __name__ == "__main__":
    main()
