"""The reference product's addresses, without our pages."""

from django.contrib import admin
from django.urls import include, path

from config import views

urlpatterns = [
    path("", views.home, name="home"),
    path("", include("tenants.people.urls")),
    path("organisations/", include("tenants.urls")),
    path("admin/", admin.site.urls),
]
