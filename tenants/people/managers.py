"""The manager and queryset of the users of one organisation."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import BaseUserManager
from django.db.models import QuerySet, Value
from django.db.models.functions import Lower

from tenants.people.origin import check_tenant

if TYPE_CHECKING:
    from tenants.people.models import User


class UserQuerySet(QuerySet["User"]):
    def active(self) -> "UserQuerySet":
        return self.filter(is_active=True)

    def with_email(self, email: str) -> "UserQuerySet":
        """Filter by e-mail address in any case; the database converts both to lower case, as in its index."""
        return self.alias(lower_email=Lower("email")).filter(lower_email=Lower(Value(email)))

    def bulk_update(self, objs: "Iterable[User]", *args: Any, **kwargs: Any) -> int:
        people = list(objs)
        for person in people:
            check_tenant(person, self.db)
        return super().bulk_update(people, *args, **kwargs)

    def bulk_create(self, objs: "Iterable[User]", *args: Any, **kwargs: Any) -> "list[User]":
        people = list(objs)
        for person in people:
            if person.pk is not None:
                check_tenant(person, self.db)
        return super().bulk_create(people, *args, **kwargs)


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, username: str | None) -> "User":
        user: User = self.with_email(username or "").get()
        return user

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user; without a password, nobody can log in as them until they have set one."""
        user: User = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a superuser of the organisation."""
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})
