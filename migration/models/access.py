from django.conf import settings
from django.db import models
from django.db.models import Q

from migration.enums import Role
from migration.models.organization import Account


class Grant(models.Model):
    """A person's role, over everything (both empty), an OU subtree, or one account."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=16, choices=Role)
    ou_path = models.CharField(max_length=700, blank=True, default="")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="grants")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("user", "role", "ou_path"), condition=Q(account__isnull=True), name="grant_once_per_ou"
            ),
            models.UniqueConstraint(
                fields=("user", "role", "account"), condition=Q(account__isnull=False), name="grant_once_per_account"
            ),
            models.CheckConstraint(condition=Q(ou_path="") | Q(account__isnull=True), name="grant_names_one_place"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"
