"""An app of a host's own that refers to rows of any model: once with a foreign key in the database, once without."""

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models


class Label(models.Model):
    text = models.CharField(max_length=50)
    content_type: Any = models.ForeignKey(ContentType, models.CASCADE)

    class Meta:
        app_label = "shop"
        # Ids of content types that change places meet here.
        constraints = [models.UniqueConstraint(fields=["content_type", "text"], name="one_label_per_type")]

    def __str__(self) -> str:
        return self.text


class Visit(models.Model):
    content_type: Any = models.ForeignKey(ContentType, models.DO_NOTHING, db_constraint=False)

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return str(self.content_type)
