"""`migrate` is `migrate_schemas`, as in django-tenants."""

from tenants.management.commands.migrate_schemas import Command

__all__ = ["Command"]
