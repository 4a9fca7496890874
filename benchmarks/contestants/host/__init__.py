"""The host project of the other packages: organisations in schemas by django-tenants, Django's own users."""
