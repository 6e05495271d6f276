"""Everything in one process, against the AWS of the ambient credentials: migrate, serve, collect, enforce."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections, transaction

from migration.enums import Role
from migration.management import embedded
from migration.management.house import HouseCommand
from migration.models import Grant


class Command(HouseCommand):
    help = "Run web, worker and beat in one process on this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, **options: Any) -> None:
        host, port = options["host"], options["port"]
        embedded.refuse_taken_port(host, port)
        self.lock = embedded.lock_out_others(settings.DATA_DIR)
        call_command("migrate", verbosity=0, interactive=False)
        password = first_admin()
        connections.close_all()  # the server forks; a connection must not be shared over a fork

        def ready() -> None:
            self.stdout.write(f"imdsdash listens at http://{host}:{port}/ (one process: web, worker and beat).")
            if password:
                self.stdout.write(
                    f"First login: admin / {password}  (shown once; `manage.py changepassword admin` changes it.)"
                )
            self.stdout.flush()

        embedded.Web(host=host, port=port, ready=ready).run()  # type: ignore[no-untyped-call]


def first_admin() -> str:
    """Make the first person of an empty installation. Returns the password, or "" when there are people already."""
    if User.objects.exists():
        return ""
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        admin = User.objects.create_user(username="admin", password=password)
        Grant.objects.create(user=admin, role=Role.ADMIN)
    return password
