"""The admin of the users of one organisation."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tenants.people.forms import AdminLoginForm, PersonCreationForm
from tenants.people.holdings import Holdings
from tenants.people.models import User

# Users who may grant these could get every permission.
_SUPERUSERS_ONLY = ("is_superuser", "user_permissions")

# The admin's login page has the same limit of failed logins as the other one.
admin.site.login_form = AdminLoginForm


class GivesOnlyWhatIsHeld(admin.ModelAdmin):  # type: ignore[type-arg]
    """Forbid changing a user or a group that holds more permissions than the current user.

    Somebody who can set a password can log in as that user, and somebody who can change a group can join it.
    """

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _includes(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _includes(request, obj)


def _includes(request: HttpRequest, obj: Model | None) -> bool:
    """Tell whether the current user holds all permissions of this user, or of a member of this group."""
    if isinstance(obj, User):
        return _holdings(request).include(Holdings.of_person(obj))
    return not isinstance(obj, Group) or _holdings(request).include(Holdings.of_group(obj))


def _holdings(request: HttpRequest) -> Holdings:
    """Return the permissions of the current user, which are read once per request."""
    known = vars(request)
    if "_holdings" not in known:
        person: Any = request.user
        known["_holdings"] = Holdings.of_person(person)
    found: Holdings = known["_holdings"]
    return found


admin.site.unregister(Group)


@admin.register(Group)
class HeldGroupAdmin(GivesOnlyWhatIsHeld, GroupAdmin):
    """The admin of groups, whose form offers and accepts only permissions that the current user holds."""

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        held = _holdings(request)
        if db_field.name == "permissions" and not held.is_superuser:
            field.queryset = Permission.objects.filter(pk__in=held.permissions).select_related("content_type")
            field.help_text = _("You can grant only permissions that you have yourself.")
        return field


@admin.register(User)
class PersonAdmin(GivesOnlyWhatIsHeld, UserAdmin):  # type: ignore[type-arg]
    add_form = PersonCreationForm
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "groups")
    search_fields = ("email", "name")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password", "name")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else fields + _SUPERUSERS_ONLY

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        held = _holdings(request)
        if db_field.name == "groups" and not held.is_superuser:
            field.queryset = held.included_groups()
            field.help_text = _("You can choose only groups whose permissions you have yourself.")
        return field
