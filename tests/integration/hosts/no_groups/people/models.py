"""People who log in, and stay in the table when they leave."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class PersonManager(BaseUserManager["Person"]):
    """Hides who has left."""

    def get_queryset(self) -> models.QuerySet["Person"]:
        return super().get_queryset().filter(has_left=False)


class Person(AbstractBaseUser):
    username = models.CharField(max_length=100, unique=True)
    has_left = models.BooleanField(default=False)

    USERNAME_FIELD = "username"

    objects = PersonManager()

    class Meta:
        app_label = "people"

    # As django-tenant-users has it: an answer, without a column.
    @property
    def is_superuser(self) -> bool:
        return False

    def has_perm(self, _permission: str, _object: object = None) -> bool:
        return False
