"""Who belongs to an organisation here: the members of the group that is named like its schema."""

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet


def members() -> QuerySet[User]:
    return User.objects.filter(groups__name=connection.schema_name)
