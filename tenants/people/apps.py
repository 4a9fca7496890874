from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PeopleConfig(AppConfig):
    name = "tenants.people"
    label = "people"
    verbose_name = _("Organisation")

    def ready(self) -> None:
        from django.contrib.auth.models import Group

        from tenants.people.models import User
        from tenants.people.origin import bind, bind_relation

        bind(Group)
        for relation in (User.groups, User.user_permissions, Group.permissions):
            bind_relation(relation.through)
