"""The Django app, there only so that `manage.py sandbox` is found."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """The pretend AWS has no tables and no pages, only a command."""

    name = "sandbox"
    verbose_name = "Pretend AWS"
