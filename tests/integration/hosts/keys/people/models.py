"""People with a primary key that is no number."""

import os
import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models


def key_field() -> "models.Field[Any, Any]":
    if os.environ.get("KEY", "uuid") == "text":
        return models.CharField(primary_key=True, max_length=40)
    return models.UUIDField(primary_key=True, default=uuid.uuid4)


class Person(AbstractUser):
    id = key_field()

    class Meta:
        app_label = "people"
